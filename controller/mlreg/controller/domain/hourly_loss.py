"""The mean loss of a model hour by hour: what change detectors are fed with.

The loss is minus the logarithm of the label's probability for classes, the absolute error for
numbers, and 1 - ndcg for a group of a ranking, in the hour of its first row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics import Floats, Integers, Rows, row_losses
from mlreg.controller.domain.metrics.classes import class_losses
from mlreg.controller.domain.metrics.ranking import group_values

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
    task: str,
    labels: Floats,
    scores: Floats,
    weights: Floats,
    times: NDArray[np.datetime64],
    groups: Integers | None = None,
) -> list[HourLoss]:
    """Return the mean loss of each hour that has any, in order.

    Args:
        task: binary, multiclass, regression or ranking.
        labels: finite; codes of classes.
        scores: finite; for more than two classes (rows, classes).
        weights: 0 or more.
        times: of the predictions.
        groups: of a ranking, the group of each row.
    """
    hours = times.astype("datetime64[s]").astype(np.int64) // SECONDS
    numbers, places = np.unique(hours, return_inverse=True)
    rows = Rows(labels, weights, places.astype(np.intp), len(numbers), groups)
    losses, weights, places = _losses(task, rows, scores)
    total = np.bincount(places, weights, len(numbers))
    sums = np.bincount(places, weights * losses, len(numbers))
    return [
        HourLoss(int(number), float(one / weight), float(weight))
        for number, one, weight in zip(numbers, sums, total, strict=True)
        if weight > 0.0
    ]


def _losses(task: str, rows: Rows, scores: Floats) -> tuple[Floats, Floats, Integers]:
    """Return the loss, the weight and the hour of each row, or of each group of a ranking."""
    if task == "ranking":
        found = group_values("ndcg", rows, scores)
        return 1.0 - found.values, found.weights, found.blocks
    if task == "multiclass":
        return class_losses("log_loss", rows.labels, scores), rows.weights, rows.blocks
    return row_losses(_LOSS[task], rows.labels, scores), rows.weights, rows.blocks
