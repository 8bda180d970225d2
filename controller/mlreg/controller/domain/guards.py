"""The guard's rule: is the live model worse than the previous champion on the same rows?

What always holds: losses are paired row by row and taken in blocks of neighbouring hours; the
confidence sequence makes looking every day as safe as looking once; a guard with too few blocks,
or blocks of one day only, holds. It speaks when the live model is surely worse (the sequence's
lower bound is above zero), its days agree among themselves (so is the lower bound of their mean, by
Student's t: hours of one day share what that day did to both models, and the sequence takes them
for independent), *and* it is worse by the policy's amount: a model that is not worse is rolled back
with a chance of about alpha, ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from mlreg.controller.domain.sequences import ConfidenceSequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BLOCK_ROWS = 20
MIN_BLOCKS = 12
MIN_DAYS = 2
EXPECTED_BLOCKS = 72


@dataclass(frozen=True, slots=True)
class HourDifference:
    """One hour: its rows, and the sum of (loss of the live model - loss of the previous one)."""

    start: datetime
    rows: int
    total: float

    def to_json(self) -> list[Any]:
        """Return what `from_json` reads."""
        return [self.start.isoformat(), self.rows, self.total]

    @classmethod
    def from_json(cls, form: Sequence[Any]) -> HourDifference:
        """Read what `to_json` wrote."""
        return cls(datetime.fromisoformat(form[0]), int(form[1]), float(form[2]))


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What a guard found; bounds are None where nothing can be said yet."""

    worse: bool
    because: str
    mean: float | None
    lower: float | None
    upper: float | None
    blocks: int
    rows: int

    def as_evidence(self) -> dict[str, Any]:
        """Return the numbers, as an incident keeps them."""
        return {
            "mean_difference": self.mean,
            "lower": self.lower,
            "upper": self.upper,
            "blocks": self.blocks,
            "rows": self.rows,
        }


def judge_guard(
    hours: Sequence[HourDifference], *, worse_than: float, alpha: float = 0.05
) -> GuardFinding:
    """Judge all hours since the promotion, in order of time.

    Args:
        hours: paired differences of loss; positive is worse for the live model.
        worse_than: the mean difference per row that a rollback needs, in units of the loss.
        alpha: the chance, over all looks, to roll back a model that is no worse.
    """
    rows = sum(hour.rows for hour in hours)
    means = np.array(list(_block_means(hours)), dtype=np.float64)
    days = {hour.start.date() for hour in hours if hour.rows}
    if len(means) < MIN_BLOCKS or len(days) < MIN_DAYS or not np.isfinite(means).all():
        because = f"{len(means)} blocks of {len(days)} days are too few to judge"
        return GuardFinding(False, because, None, None, None, len(means), rows)  # noqa: FBT003
    mean, lower, upper = _bounds(means, alpha)
    worse = lower > 0 and mean >= worse_than and _lower_of_days(hours, alpha) > 0
    because = f"mean difference {mean:+.4f} [{lower:+.4f}, {upper:+.4f}] over {rows:,} rows"
    return GuardFinding(worse, because, mean, lower, upper, len(means), rows)


def _bounds(means: NDArray[np.float64], alpha: float) -> tuple[float, float, float]:
    """Return mean, lower and upper bound as they stand after the last block."""
    sequence = ConfidenceSequence(
        alpha=alpha, expected_blocks=EXPECTED_BLOCKS, min_blocks=MIN_BLOCKS
    )
    bounds = sequence.bounds(means)
    return float(bounds.mean[-1]), float(bounds.lower[-1]), float(bounds.upper[-1])


def _lower_of_days(hours: Sequence[HourDifference], alpha: float) -> float:
    """Return the lower bound of the mean over days; the fewer days, the lower."""
    totals: dict[date, tuple[int, float]] = {}
    for hour in hours:
        rows, total = totals.get(hour.start.date(), (0, 0.0))
        totals[hour.start.date()] = (rows + hour.rows, total + hour.total)
    means = np.array([total / rows for rows, total in totals.values() if rows])
    error = float(np.std(means, ddof=1)) / float(np.sqrt(len(means)))
    return float(means.mean()) - float(stdtrit(len(means) - 1, 1 - alpha / 2)) * error


def _block_means(hours: Sequence[HourDifference]) -> Iterator[float]:
    """Yield the mean of each block: neighbouring hours until there are enough rows."""
    rows, total = 0, 0.0
    for hour in hours:
        rows, total = rows + hour.rows, total + hour.total
        if rows >= BLOCK_ROWS:
            yield total / rows
            rows, total = 0, 0.0
