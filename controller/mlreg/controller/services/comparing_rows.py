"""Two samples of rows under a contract, and what can be said of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlreg.controller.domain.bins import NULL_CODE, Bins
from mlreg.controller.domain.two_samples import chi_square, kolmogorov_smirnov, mean_discrepancy
from mlreg.controller.domain.windows import Interval
from mlreg.controller.executors.executor import Limits
from mlreg.controller.feedback.columns import encoded
from mlreg.controller.services.run_folder import ChildCall, call_child

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.controller.services.attempt import Attempt

Floats = NDArray[np.float64]
ENTRY = "mlreg.controller.trainers.domain_child:tell_apart"
LIMITS = Limits(wall_seconds=300.0, cpu_seconds=600)
MOST_CATEGORIES = 20


@dataclass(frozen=True, slots=True, eq=False)
class RowPair:
    """A sample of the champion's training rows, and one of a window.

    Attributes:
        version: the champion.
        names: the features to look at, in the contract's order.
        left_out: the outages in the window, whose rows are not looked at.
    """

    version: int
    bins: Bins
    names: tuple[str, ...]
    reference: pa.Table
    window: pa.Table
    seed: int
    left_out: tuple[Interval, ...] = ()

    def columns(self) -> list[tuple[str, bool, NDArray[np.generic], NDArray[np.generic]]]:
        """Return each feature: its name, whether it is a category, both sides' values."""
        before, now = encoded(self.reference, self.bins), encoded(self.window, self.bins)
        kinds = {column.name: column.scale == "codes" for column in self.bins.columns}
        return [(name, kinds[name], before[name], now[name]) for name in self.names]


def exact_tests(pair: RowPair) -> dict[str, Any]:
    """Test every feature (Kolmogorov-Smirnov or chi-square), and all of them together (MMD)."""
    tests = []
    for name, is_category, before, now in pair.columns():
        test = (
            chi_square(before.astype(np.intp), now.astype(np.intp))
            if is_category
            else kolmogorov_smirnov(before.astype(np.float64), now.astype(np.float64))
        )
        if test is not None:
            tests.append({"feature": name, **asdict(test)})
    first, second = _standardised(pair)
    whole = mean_discrepancy(first, second, np.random.default_rng(pair.seed))
    return {"tests": tests, "joint": None if whole is None else asdict(whole)}


def tell_apart(attempt: Attempt, folder: Path, pair: RowPair) -> dict[str, Any]:
    """Fit a classifier of window against training in a child process.

    Raises:
        ChildRefusedError, ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    columns = pair.columns()
    stacked = [_as_numbers(np.concatenate([before, now]), kind) for _, kind, before, now in columns]
    np.savez(
        folder / "rows.npz",
        matrix=np.column_stack(stacked),
        is_window=np.arange(pair.reference.num_rows + pair.window.num_rows)
        >= pair.reference.num_rows,
        categories=np.flatnonzero([kind for _, kind, _, _ in columns]),
        names=np.array(pair.names),
        seed=pair.seed,
    )
    call = ChildCall(ENTRY, {}, lambda _lines: None, LIMITS)
    result = dict(call_child(attempt, folder, call).result)
    return {name: result[name] for name in ("auc", "low", "high", "culprits")}


def _as_numbers(values: NDArray[np.generic], is_category: bool) -> Floats:  # noqa: FBT001 - a value
    numbers = values.astype(np.float64)
    return np.where(numbers < 0, np.nan, numbers) if is_category else numbers


def _standardised(pair: RowPair) -> tuple[Floats, Floats]:
    """Return both sides as numbers of about unit spread; categories each its own, missing as 0."""
    parts: list[tuple[Floats, Floats]] = []
    for _, is_category, before, now in pair.columns():
        if is_category:
            common = np.unique(before[before != NULL_CODE])[:MOST_CATEGORIES]
            sides = [(side[:, None] == common).astype(np.float64) for side in (before, now)]
        else:
            known = before[np.isfinite(before)].astype(np.float64)
            center = float(np.median(known)) if len(known) else 0.0
            spread = float(known.std()) if len(known) else 1.0
            sides = [
                np.nan_to_num((side.astype(np.float64) - center) / (spread or 1.0))[:, None]
                for side in (before, now)
            ]
        parts.append((sides[0], sides[1]))
    first, second = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    return first, second
