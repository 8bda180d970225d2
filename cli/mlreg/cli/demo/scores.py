"""Scores and labels, and how well they agree: log loss and AUC, in all and by month or day.

What always holds: only rows with both are counted; the rules are those of the controller's own
metrics (`controller/domain/metrics.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics import Floats, MetricName, Rows, measure, row_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Measured:
    """What some rows say of a model; None where it is undefined."""

    auc: float | None
    log_loss: float | None
    rows: int


@dataclass(frozen=True)
class Scored:
    """Labelled rows with one model's scores."""

    labels: Floats
    scores: Floats

    def measured(self) -> Measured:
        """Return AUC and log loss over all rows."""
        return Measured(self._metric("auc"), self._metric("log_loss"), len(self.labels))

    def where(self, mask: NDArray[np.bool_]) -> Scored:
        """Return some of the rows."""
        return Scored(self.labels[mask], self.scores[mask])

    def by(self, keys: NDArray[np.datetime64]) -> dict[str, Measured]:
        """Return what each month, day … of the rows says, in order of time."""
        return {str(key): self.where(keys == key).measured() for key in np.unique(keys)}

    @cached_property
    def losses(self) -> Floats:
        """The log loss of each row."""
        return row_losses("log_loss", self.labels, self.scores)

    def _metric(self, metric: MetricName) -> float | None:
        if not len(self.labels):
            return None
        every = np.ones(len(self.labels))
        rows = Rows(self.labels, every, np.zeros(len(self.labels), dtype=np.intp), 1)
        value = float(measure(metric, rows, self.scores).values(np.ones((1, 1)))[0])
        return value if np.isfinite(value) else None
