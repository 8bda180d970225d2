"""Metrics of decisions at a threshold: accuracy, f1, precision, recall.

Each is a ratio of counts: precision TP / (TP + FP), recall TP / (TP + FN), and
f1 2 TP / (2 TP + FP + FN), the harmonic mean of the two (van Rijsbergen, Information Retrieval,
1979, chapter 7). Without a predicted positive there is no precision, without a positive no recall.
"""

from __future__ import annotations

import numpy as np

from mlreg.controller.domain.metrics.blocks import Booleans, MeanLoss, Rows

DECIDED = ("accuracy", "f1", "precision", "recall")


def decided(metric: str, rows: Rows, decisions: Booleans) -> MeanLoss:
    """Return a metric of the decisions for the positive class."""
    positive = rows.labels > 0
    hits = rows.by_block(np.where(decisions & positive, rows.weights, 0.0))
    chosen = rows.by_block(np.where(decisions, rows.weights, 0.0))
    wanted = rows.by_block(np.where(positive, rows.weights, 0.0))
    if metric == "accuracy":
        right = rows.by_block(np.where(decisions == positive, rows.weights, 0.0))
        return MeanLoss(right, rows.by_block(rows.weights))
    if metric == "f1":
        return MeanLoss(2 * hits, chosen + wanted)
    return MeanLoss(hits, chosen if metric == "precision" else wanted)
