"""Metrics kept by block of rows, so that any resample of blocks is a small matrix product.

What always holds: a metric of a resample is exact, the same as if the rows of its blocks were
written out again and again. A mean loss keeps sums per block. The AUC keeps its concordance matrix
C over pairs of blocks (C[i, j] = weight of pairs with the positive in block i, the negative in
block j and the positive scored higher, ties counting a half): with w the number of times each block
is drawn, P and N the weights of positives and negatives,
`AUC(w) = w C w / ((w P) (w N))`. Undefined values (no rows, one class) are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
MetricName = Literal["auc", "log_loss", "brier", "rmse", "mae"]
OF_TASK: dict[str, tuple[MetricName, ...]] = {
    "binary": ("auc", "log_loss", "brier"),
    "regression": ("rmse", "mae"),
}
"""The metrics that each task has, the first being its main one."""

SMALLEST_PROBABILITY = 1e-15


class BlockMetric(Protocol):
    """A metric of one model on some rows, ready to be taken on any resample of their blocks."""

    def values(self, counts: Floats) -> Floats:
        """Return the metric of each draw.

        Args:
            counts: draws by blocks, how often each block is in each draw.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows in blocks of time.

    Attributes:
        labels: float64, finite; 0 or 1 for a binary task.
        weights: float64, 0 or more.
        blocks: the block of each row, 0 to `block_count` - 1.
    """

    labels: Floats
    weights: Floats
    blocks: Integers
    block_count: int

    def where(self, mask: NDArray[np.bool_]) -> Rows:
        """Return the rows of a slice, in the same blocks."""
        return Rows(self.labels[mask], self.weights[mask], self.blocks[mask], self.block_count)

    def by_block(self, values: Floats) -> Floats:
        """Return the sum of one value per row over each block."""
        sums: Floats = np.bincount(self.blocks, values, self.block_count).astype(np.float64)
        return sums

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class MeanLoss:
    """A weighted mean of losses by row (or the root of it)."""

    sums: Floats
    weights: Floats
    root: bool = False

    def values(self, counts: Floats) -> Floats:
        """Return the mean loss of each draw."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = (counts @ self.sums) / (counts @ self.weights)
        return np.sqrt(means) if self.root else means


@dataclass(frozen=True, slots=True)
class Concordance:
    """The AUC through its block-pair concordance matrix."""

    matrix: Floats
    positives: Floats
    negatives: Floats

    def values(self, counts: Floats) -> Floats:
        """Return the AUC of each draw."""
        agreeing = ((counts @ self.matrix) * counts).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Floats = agreeing / ((counts @ self.positives) * (counts @ self.negatives))
        return result


def greater_is_better(metric: MetricName) -> bool:
    """Say whether a higher value of the metric is a better model."""
    return metric == "auc"


def measure(metric: MetricName, rows: Rows, scores: Floats) -> BlockMetric:
    """Return a metric of these scores by block."""
    if metric == "auc":
        return concordance(rows, scores)
    losses = row_losses(metric, rows.labels, scores)
    return MeanLoss(
        sums=rows.by_block(losses * rows.weights),
        weights=rows.by_block(rows.weights),
        root=metric == "rmse",
    )


def row_losses(metric: MetricName, labels: Floats, scores: Floats) -> Floats:
    """Return the loss of each row under a metric that is a mean (`rmse`: the square).

    Raises:
        ValueError: the metric is no mean over rows (`auc`).
    """
    if metric == "log_loss":
        sure = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        return -np.log(np.where(labels > 0, sure, 1 - sure))
    if metric in {"brier", "rmse"}:
        return np.square(scores - labels)
    if metric == "mae":
        return np.abs(scores - labels)
    message = f"{metric} is no mean over rows"
    raise ValueError(message)


def concordance(rows: Rows, scores: Floats) -> Concordance:
    """Return the AUC of these scores by pairs of blocks; O(blocks x rows), one sort.

    Every negative block adds, at each level of the score, the weight of its negatives below plus
    half of those at it; the positives read it off at their own level.
    """
    levels, level = np.unique(scores, return_inverse=True)
    positive = rows.labels > 0
    at, block, weight = level[positive], rows.blocks[positive], rows.weights[positive]
    matrix = np.zeros((rows.block_count, rows.block_count))
    for other, (below, weights) in _negatives_by_block(rows, level, ~positive):
        weight_at = np.bincount(below, weights, len(levels))
        read_off = (np.cumsum(weight_at) - weight_at / 2)[at]
        matrix[:, other] = np.bincount(block, read_off * weight, rows.block_count)
    return Concordance(
        matrix=matrix,
        positives=rows.by_block(np.where(positive, rows.weights, 0.0)),
        negatives=rows.by_block(np.where(positive, 0.0, rows.weights)),
    )


def _negatives_by_block(
    rows: Rows, level: Integers, negative: NDArray[np.bool_]
) -> list[tuple[int, tuple[Integers, Floats]]]:
    block = rows.blocks[negative]
    order = np.argsort(block, kind="stable")
    ends = np.cumsum(np.bincount(block, minlength=rows.block_count))[:-1]
    levels = np.split(level[negative][order], ends)
    weights = np.split(rows.weights[negative][order], ends)
    return [
        (number, (levels[number], weights[number]))
        for number in range(rows.block_count)
        if len(levels[number])
    ]
