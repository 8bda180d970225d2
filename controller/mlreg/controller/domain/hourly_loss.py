"""The mean loss of a model hour by hour: what change detectors are fed with.

The loss is minus the logarithm of the label's probability for classes, the absolute error for
numbers; a ranking has none by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics import Floats, row_losses
from mlreg.controller.domain.metrics.losses import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 3600
_LOSS = {"binary": "log_loss", "regression": "mae"}


@dataclass(frozen=True, slots=True)
class HourLoss:
    """The weighted mean loss of the rows of one hour; `number` counts hours since 1970 (UTC)."""

    number: int
    loss: float
    weight: float


def hourly_losses(
    task: str, labels: Floats, scores: Floats, weights: Floats, times: NDArray[np.datetime64]
) -> list[HourLoss]:
    """Return the mean loss of each hour that has rows, in order; none for tasks without a loss.

    Args:
        task: binary, multiclass, regression or ranking.
        labels: finite; codes of classes.
        scores: finite; for more than two classes (rows, classes).
        weights: 0 or more.
        times: of the predictions.
    """
    losses = _losses(task, labels, scores)
    if losses is None or not len(losses):
        return []
    hours = times.astype("datetime64[s]").astype(np.int64) // SECONDS
    numbers, places = np.unique(hours, return_inverse=True)
    total = np.bincount(places, weights)
    sums = np.bincount(places, weights * losses)
    return [
        HourLoss(int(number), float(one / weight), float(weight))
        for number, one, weight in zip(numbers, sums, total, strict=True)
        if weight > 0.0
    ]


def _losses(task: str, labels: Floats, scores: Floats) -> Floats | None:
    if task in _LOSS:
        return row_losses(_LOSS[task], labels, scores)
    if task != "multiclass":
        return None
    given = scores[np.arange(len(labels)), labels.astype(np.intp)]
    return np.asarray(-np.log(np.maximum(given, SMALLEST_PROBABILITY)), dtype=np.float64)
