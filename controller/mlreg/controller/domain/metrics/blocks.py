"""Labelled rows in blocks of time, and what a metric of them is: sums by block.

What always holds: a metric that is a ratio of two sums over rows keeps both sums per block, so its
value on any resample of blocks (w: how often each is drawn) is `(w A) / (w B)`, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Booleans = NDArray[np.bool_]


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
        labels: float64, finite; 0 or 1 for a binary task, a class's code for a multiclass one.
        weights: float64, 0 or more.
        blocks: the block of each row, 0 to `block_count` - 1.
        groups: of a ranking, the group (query) of each row, counted from 0.
    """

    labels: Floats
    weights: Floats
    blocks: Integers
    block_count: int
    groups: Integers | None = None

    def where(self, mask: Booleans) -> Rows:
        """Return the rows of a slice, in the same blocks."""
        groups = None if self.groups is None else self.groups[mask]
        return Rows(
            self.labels[mask], self.weights[mask], self.blocks[mask], self.block_count, groups
        )

    def by_block(self, values: Floats) -> Floats:
        """Return the sum of one value per row over each block."""
        sums: Floats = np.bincount(self.blocks, values, self.block_count).astype(np.float64)
        return sums

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class MeanLoss:
    """A ratio of two sums over rows, such as a weighted mean of losses (or the root of it)."""

    sums: Floats
    weights: Floats
    root: bool = False

    def values(self, counts: Floats) -> Floats:
        """Return the ratio of each draw."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = (counts @ self.sums) / (counts @ self.weights)
        return np.sqrt(means) if self.root else means


@dataclass(frozen=True, slots=True)
class MeanOf:
    """The plain mean of several metrics, those left out that are undefined in a draw."""

    parts: tuple[BlockMetric, ...]

    def values(self, counts: Floats) -> Floats:
        """Return the mean of each draw; NaN where no part is defined."""
        found = np.stack([part.values(counts) for part in self.parts])
        defined = np.isfinite(found)
        with np.errstate(invalid="ignore"):
            means: Floats = np.where(defined, found, 0.0).sum(axis=0) / defined.sum(axis=0)
        return means
