"""Knowing nothing: the best constant on some rows, which skill and baselines are measured against.

What always holds: it follows from labels and weights alone; of a ranking any constant is as good,
for rows of equal score share what a random order among them is expected to have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlreg.controller.domain.metrics.blocks import Floats, Rows

Prior = float | Sequence[float]
"""A mean label, or the share of each class."""


def prior_of(task: str, rows: Rows, classes: int) -> Prior:
    """Return the constant that fits these rows best; there is at least one of them.

    Args:
        task: of the model.
        rows: labelled, with a weight above zero among them.
        classes: how many classes a multiclass model has.
    """
    if task == "multiclass":
        sums = np.bincount(rows.labels.astype(np.intp), rows.weights, classes)
        return tuple(float(one) for one in sums / sums.sum())
    return float(np.average(rows.labels, weights=rows.weights))


def constant_scores(prior: Prior, rows: int) -> Floats:
    """Return the scores of a constant: one per row, or one per class and row."""
    if isinstance(prior, Sequence):
        return np.tile(np.asarray(prior, dtype=np.float64), (rows, 1))
    return np.full(rows, prior)
