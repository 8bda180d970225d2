"""From the contract's matrix to one without gaps, for libraries that take no others.

What always holds: what is learnt (what stands for missing, mean and spread) is learnt from the rows
of a full training, goes with the model, and is never learnt anew by a stateful lane; a column of
the result means the same for ever.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.trainers.errors import MissingValueError, TrainingRowsError
from mlreg.controller.trainers.trainer import Preparation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.trainers.trainer import TrainingTask
    from mlreg.registry.domain.contracts import Feature, FeatureContract

Floats = NDArray[np.float64]
MISSING_CODE = -1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """How rows are prepared, with what was learnt of each feature.

    Attributes:
        how: as it was declared.
        fills: what stands for missing.
        centres, spreads: what numbers are shifted and divided by.
    """

    how: Preparation
    fills: tuple[float, ...]
    centres: tuple[float, ...]
    spreads: tuple[float, ...]

    @property
    def declared(self) -> str:
        """What was declared, in a line."""
        return f"impute {self.how.impute}, scale {self.how.scale}, {self.how.categories}"

    def apply(self, matrix: Floats, contract: FeatureContract) -> Floats:
        """Return the rows for the library.

        Raises:
            MissingValueError: a value is missing, and `impute` refuses that.
        """
        parts = [
            self._column(matrix[:, place], place, feature)
            for place, feature in enumerate(contract.features)
        ]
        return np.concatenate(parts, axis=1)

    def _column(self, values: Floats, place: int, feature: Feature) -> Floats:
        missing = np.isnan(values)
        if self.how.impute == "refuse" and missing.any():
            raise MissingValueError(feature=feature.name, rows=int(missing.sum()))
        if feature.dtype == "category" and self.how.categories == "one_hot":
            width = len(feature.categories or ()) + feature.buckets
            return np.asarray(values[:, None] == np.arange(width), dtype=np.float64)
        filled = np.where(missing, self.fills[place], values)
        scaled: Floats = (filled - self.centres[place]) / self.spreads[place]
        return scaled[:, None]

    def to_form(self) -> dict[str, Any]:
        """Return plain numbers and words, which `from_form` reads back."""
        return {
            "how": asdict(self.how),
            "fills": list(self.fills),
            "centres": list(self.centres),
            "spreads": list(self.spreads),
        }

    @classmethod
    def from_form(cls, form: Mapping[str, Any]) -> Prepared:
        """Read what `to_form` returned."""
        numbers = (tuple(map(float, form[name])) for name in ("fills", "centres", "spreads"))
        fills, centres, spreads = numbers
        return cls(Preparation(**form["how"]), fills, centres, spreads)


def prepare(task: TrainingTask) -> Prepared:
    """Learn from the rows of a training how they are prepared.

    Raises:
        TrainingRowsError: a feature's numbers are too large to be scaled.
    """
    fills, centres, spreads = [], [], []
    for place, feature in enumerate(task.contract.features):
        column = task.matrix[:, place]
        known = column[~np.isnan(column)]
        is_category = feature.dtype == "category"
        fill = MISSING_CODE if is_category else _fill(known, task.preparation.impute)
        scales = task.preparation.scale and not is_category and len(known) > 0
        centre, spread = _scale(known, feature.name) if scales else (0.0, 1.0)
        fills.append(fill)
        centres.append(centre)
        spreads.append(spread if spread > 0 else 1.0)
    return Prepared(task.preparation, tuple(fills), tuple(centres), tuple(spreads))


def _scale(known: Floats, name: str) -> tuple[float, float]:
    """Return mean and standard deviation; infinite ones would make all rows alike."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(known.mean()), float(known.std())
    if not np.isfinite(found).all():
        cause = f"the numbers of {name!r} are too large to be scaled (`preparation: scale`)"
        raise TrainingRowsError(cause=cause)
    return found


def _fill(known: Floats, impute: str) -> float:
    """Return what stands for missing; 0 where nothing is known."""
    if not len(known) or impute in {"zero", "refuse"}:
        return 0.0
    if impute == "most_frequent":
        values, counts = np.unique(known, return_counts=True)
        return float(values[counts.argmax()])
    return float(np.median(known) if impute == "median" else known.mean())
