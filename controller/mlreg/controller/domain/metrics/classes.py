"""Metrics of models with more than two classes: log_loss, brier, accuracy, macro_f1, macro_auc.

`brier` is half the sum over classes of (probability - whether it is the label) squared (Brier,
Monthly Weather Review 78, 1950): 0 to 1, and of two classes the usual one of the positive class.

The two macro metrics are plain means over classes, each against all others; a class that neither
occurs nor is chosen has no f1, one that does not occur (or alone does) no AUC, and is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics.blocks import BlockMetric, Floats, MeanLoss, MeanOf, Rows
from mlreg.controller.domain.metrics.decided import decided
from mlreg.controller.domain.metrics.losses import SMALLEST_PROBABILITY
from mlreg.controller.domain.metrics.ordering import concordance

if TYPE_CHECKING:
    from collections.abc import Callable


def class_metric(metric: str, rows: Rows, scores: Floats) -> BlockMetric:
    """Return a metric of class probabilities.

    Args:
        metric: its name.
        rows: the labels are codes of classes.
        scores: rows by classes; made to sum to 1.

    Raises:
        ValueError: models of several classes have no such metric.
    """
    if metric in _LOSSES:
        losses = class_losses(metric, rows.labels, scores)
        return MeanLoss(rows.by_block(losses * rows.weights), rows.by_block(rows.weights))
    chosen = np.argmax(scores, axis=1)
    if metric == "accuracy":
        right = np.where(chosen == rows.labels, rows.weights, 0.0)
        return MeanLoss(rows.by_block(right), rows.by_block(rows.weights))
    classes = range(scores.shape[1])
    one = [replace(rows, labels=(rows.labels == number).astype(np.float64)) for number in classes]
    if metric == "macro_f1":
        return MeanOf(tuple(decided("f1", one[number], chosen == number) for number in classes))
    if metric == "macro_auc":
        return MeanOf(tuple(concordance(one[number], scores[:, number]) for number in classes))
    message = f"models of several classes have no {metric}"
    raise ValueError(message)


def class_losses(metric: str, labels: Floats, scores: Floats) -> Floats:
    """Return the loss of each row, `log_loss` or `brier`; scores are made to sum to 1."""
    return _LOSSES[metric](labels, scores)


def class_log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return minus the logarithm of the probability that each label was given."""
    given = _shares(scores)[np.arange(len(labels)), labels.astype(np.intp)]
    losses: Floats = -np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0))
    return losses


def _class_squares(labels: Floats, scores: Floats) -> Floats:
    missed = _shares(scores)
    missed[np.arange(len(labels)), labels.astype(np.intp)] -= 1.0
    squares: Floats = np.square(missed).sum(axis=1) / 2
    return squares


def _shares(scores: Floats) -> Floats:
    sums = scores.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Floats = np.where(sums > 0, scores / sums, 0.0)
    return shares


_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log_loss": class_log_losses,
    "brier": _class_squares,
}
