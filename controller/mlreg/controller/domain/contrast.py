"""How much the mean of a value differs between slices of rows and the rest, and how sure that is.

What always holds: rows come in blocks of time and rows of a block are alike, so the variance is
that of the blocks' sums (the cluster-robust sandwich; Liang & Zeger, Biometrika 73, 1986), but
never less than that of independent rows which scatter as all rows do: of many small slices some
scatter little by luck. It has as many degrees of freedom as the slice has blocks of equal weight
(Kish's effective number), less one.

All slices of a partition are taken at once: counts and sums by block, each one `bincount`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Booleans = NDArray[np.bool_]
LEAST_BLOCKS = 6
"""Blocks that a slice needs: what lies in fewer may be a bad hour as well as a bad slice."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One value of each row.

    Attributes:
        blocks: the block of each row, 0 to `block_count` - 1.
    """

    values: Floats
    blocks: Integers
    block_count: int

    @cached_property
    def whole(self) -> Tally:
        """All rows as one cell."""
        return Tally.of(self, np.zeros(len(self), dtype=np.intp), 1)

    @cached_property
    def variance(self) -> float:
        """The variance of rows about their mean; 0.0 without rows."""
        return float(self.values.var()) if len(self) else 0.0

    def __len__(self) -> int:
        return len(self.values)

    def where(self, mask: Booleans) -> Sample:
        """Return some of the rows, in the same blocks."""
        return Sample(self.values[mask], self.blocks[mask], self.block_count)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is added up of each slice: (slices, blocks) counts of rows and sums of the value."""

    counts: Floats
    sums: Floats

    @classmethod
    def of(cls, sample: Sample, cells: Integers, size: int) -> Tally:
        """Add up the rows of each cell, 0 to `size` - 1."""
        places = cells * sample.block_count
        places += sample.blocks
        length, shape = size * sample.block_count, (size, sample.block_count)
        counts = np.bincount(places, minlength=length).reshape(shape)
        sums = np.bincount(places, sample.values, length).reshape(shape)
        return cls(counts.astype(np.float64), sums.astype(np.float64, copy=False))

    def __getitem__(self, cells: Integers) -> Tally:
        """Return some of the cells."""
        return Tally(self.counts[cells], self.sums[cells])


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Slices against the rest of the rows, each an array over slices.

    Attributes:
        rows, rest_rows: how many.
        mean, rest: of the value.
        error: the standard error of `mean - rest`; not-a-number where it cannot be told.
        blocks: the effective number of blocks that the slice lies in.
    """

    rows: Floats
    rest_rows: Floats
    mean: Floats
    rest: Floats
    error: Floats
    blocks: Floats

    @property
    def excess(self) -> Floats:
        """The mean of the slice less that of the rest."""
        return self.mean - self.rest


def contrast(slices: Tally, sample: Sample) -> Contrast:
    """Compare slices of a sample with what else it holds."""
    whole, variance = sample.whole, sample.variance
    rest_counts, rest_sums = whole.counts - slices.counts, whole.sums - slices.sums
    rows, others = slices.counts.sum(axis=1), rest_counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, rest = slices.sums.sum(axis=1) / rows, rest_sums.sum(axis=1) / others
        pulls = (slices.sums - mean[:, None] * slices.counts) / rows[:, None]
        pulls -= (rest_sums - rest[:, None] * rest_counts) / others[:, None]
        blocks = np.square(rows) / np.square(slices.counts).sum(axis=1)
        clustered = np.square(pulls).sum(axis=1) * blocks / (blocks - 1.0)
        error = np.sqrt(np.maximum(clustered, variance / rows + variance / others))
    return Contrast(rows, others, mean, rest, error, blocks)
