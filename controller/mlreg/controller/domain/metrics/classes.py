"""Metrics of models with more than two classes: log_loss, accuracy, macro_f1, macro_auc.

The two macro metrics are plain means over classes, each against all others; a class that neither
occurs nor is chosen has no f1, one that does not occur (or alone does) no AUC, and is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlreg.controller.domain.metrics.blocks import BlockMetric, Floats, MeanLoss, MeanOf, Rows
from mlreg.controller.domain.metrics.decided import decided
from mlreg.controller.domain.metrics.losses import SMALLEST_PROBABILITY
from mlreg.controller.domain.metrics.ordering import concordance


def class_metric(metric: str, rows: Rows, scores: Floats) -> BlockMetric:
    """Return a metric of class probabilities.

    Args:
        metric: its name.
        rows: the labels are codes of classes.
        scores: rows by classes; made to sum to 1.

    Raises:
        ValueError: models of several classes have no such metric.
    """
    if metric == "log_loss":
        return MeanLoss(
            rows.by_block(class_log_losses(rows.labels, scores) * rows.weights),
            rows.by_block(rows.weights),
        )
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


def class_log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return minus the logarithm of the probability that each label was given."""
    sums = scores.sum(axis=1)
    given = scores[np.arange(len(labels)), labels.astype(np.intp)]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(sums > 0, given / sums, 0.0)
    losses: Floats = -np.log(np.clip(shares, SMALLEST_PROBABILITY, 1.0))
    return losses
