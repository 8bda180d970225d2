"""The AUC through its block-pair concordance matrix.

The matrix C has, for each pair of blocks, the weight of the pairs of rows with the positive in
block i, the negative in block j and the positive scored higher, ties counting a half. With w the
number of times each block is drawn, P and N the weights of positives and negatives,
`AUC(w) = w C w / ((w P) (w N))` (the Mann-Whitney statistic over pairs).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics.blocks import Floats, Integers, Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS = 10_000
"""How many sums by level and block are kept at a time: few enough that no BLAS starts threads."""


@dataclass(frozen=True, slots=True)
class Concordance:
    """The AUC of any resample of blocks."""

    matrix: Floats
    positives: Floats
    negatives: Floats

    def values(self, counts: Floats) -> Floats:
        """Return the AUC of each draw."""
        agreeing = ((counts @ self.matrix) * counts).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Floats = agreeing / ((counts @ self.positives) * (counts @ self.negatives))
        return result


def concordance(rows: Rows, scores: Floats) -> Concordance:
    """Return the AUC of these scores by pairs of blocks: one sort, then O(blocks x levels).

    Level by level of the score, every block's positives read off the weight of each block's
    negatives below, plus half of those at their own level.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    level = np.cumsum(np.diff(ordered, prepend=ordered[:1]) > 0, dtype=np.intp)
    blocks, weights = rows.blocks[order], rows.weights[order]
    positive = rows.labels[order] > 0
    size = rows.block_count
    matrix, before = np.zeros((size, size)), np.zeros(size)
    for part in _parts(level, max(1, CELLS // max(1, size))):
        cells = (level[part] - level[part.start]) * size + blocks[part]
        negatives = _by_cell(cells, np.where(positive[part], 0.0, weights[part]), size)
        positives = _by_cell(cells, np.where(positive[part], weights[part], 0.0), size)
        matrix += positives.T @ (before + np.cumsum(negatives, axis=0) - negatives / 2)
        before += negatives.sum(axis=0)
    return Concordance(
        matrix=matrix,
        positives=rows.by_block(np.where(rows.labels > 0, rows.weights, 0.0)),
        negatives=rows.by_block(np.where(rows.labels > 0, 0.0, rows.weights)),
    )


def _parts(level: Integers, levels: int) -> Iterator[slice]:
    """Yield the places of so many levels at a time, in order."""
    if not len(level):
        return
    starts = np.arange(0, level[-1] + 1, levels)
    borders = np.searchsorted(level, [*starts, level[-1] + 1])
    for first, end in pairwise(borders):
        yield slice(int(first), int(end))


def _by_cell(cells: Integers, weights: Floats, blocks: int) -> Floats:
    """Return the sum of weights, levels by blocks."""
    levels = int(cells[-1]) // blocks + 1
    sums = np.bincount(cells, weights, levels * blocks).astype(np.float64)
    return sums.reshape(levels, blocks)
