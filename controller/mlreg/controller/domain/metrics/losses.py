"""Metrics that are a weighted mean over rows: log_loss, brier, rmse, mae, mape, pinball."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics.blocks import Floats, MeanLoss, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

SMALLEST_PROBABILITY = 1e-15


def mean_loss(metric: str, rows: Rows, scores: Floats, quantile: float = 0.5) -> MeanLoss:
    """Return the weighted mean of a loss by block; of `rmse` its root.

    `mape` is the mean of |label - score| / |label|; rows whose label is zero have no such error and
    are left out, and without any other row it is undefined.

    Raises:
        ValueError: the metric is no mean over rows (`auc`).
    """
    if metric == "mape":
        rows, scores = rows.where(rows.labels != 0), scores[rows.labels != 0]
    losses = row_losses(metric, rows.labels, scores, quantile)
    return MeanLoss(
        sums=rows.by_block(losses * rows.weights),
        weights=rows.by_block(rows.weights),
        root=metric == "rmse",
    )


def row_losses(metric: str, labels: Floats, scores: Floats, quantile: float = 0.5) -> Floats:
    """Return the loss of each row under a metric that is a mean (`rmse`: the square).

    Raises:
        ValueError: the metric is no mean over rows (`auc`).
    """
    if metric == "pinball":
        above = labels - scores
        return np.maximum(quantile * above, (quantile - 1) * above)
    if metric not in _LOSSES:
        message = f"{metric} is no mean over rows"
        raise ValueError(message)
    return _LOSSES[metric](labels, scores)


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return minus the logarithm of the probability that each label was given."""
    sure = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.log(np.where(labels > 0, sure, 1 - sure))


def _squares(labels: Floats, scores: Floats) -> Floats:
    return np.square(scores - labels)


def _distances(labels: Floats, scores: Floats) -> Floats:
    return np.abs(scores - labels)


def _shares(labels: Floats, scores: Floats) -> Floats:
    return np.abs(scores - labels) / np.abs(labels)


_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log_loss": log_losses,
    "brier": _squares,
    "rmse": _squares,
    "mae": _distances,
    "mape": _shares,
}
