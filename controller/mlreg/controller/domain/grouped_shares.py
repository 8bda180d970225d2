"""Effect sizes of shares: population stability, Jensen-Shannon distance, Cramér's V.

What always holds: shares are compared in about twenty groups of bins (of a category: one for each
that has a hundredth of the reference, and one for the rest), for every group adds its noise:
without any drift PSI is about (groups - 1) (1 / rows + 1 / reference rows). Nulls and unseen
categories are groups of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlreg.controller.domain.bins import ColumnBins
    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.domain.reference_columns import ReferenceColumns
    from mlreg.controller.domain.stack import ProfileStack

PSEUDO_COUNT = 0.5
GROUPS = 20
RARE = 0.01
Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class GroupedShares:
    """The shares of a reference by groups of bins, to hold windows against."""

    def __init__(self, reference: Profile, columns: ReferenceColumns) -> None:
        """Number the groups of all columns through, then one of nulls and one of unseen each."""
        self._columns = columns
        bins, first = columns.bins, 0
        groups = np.empty(len(reference.counts), dtype=np.intp)
        sizes = np.zeros(len(bins.columns), dtype=np.intp)
        for place, column in enumerate(bins.columns):
            part = slice(*bins.offsets[place : place + 2])
            own = _groups(column, reference.counts[part])
            sizes[place] = own.max(initial=-1) + 1
            groups[part] = own + first
            first += sizes[place]
        order = np.argsort(groups, kind="stable")
        self._order = None if (order == np.arange(len(order))).all() else order
        self._group_starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        self._first_groups = np.cumsum(sizes) - sizes
        places = np.arange(len(bins.columns))
        self._column_of = np.concatenate([np.repeat(places, sizes), places, places])
        self._pseudo_rows = PSEUDO_COUNT * (sizes + 2)
        self._before = self._grouped(reference.counts[None], reference.tallies[None])[0]
        with np.errstate(invalid="ignore"):
            self._shares = self._before / columns.rows[self._column_of]
        self._smooth = (self._before + PSEUDO_COUNT) / (columns.rows + self._pseudo_rows)[
            self._column_of
        ]
        self._log_smooth = np.log(self._smooth)

    def measure(self, windows: ProfileStack) -> dict[str, Floats]:
        """Return PSI, Jensen-Shannon distance, and Cramér's V.

        PSI is the sum of (p - q) ln(p / q); half a row is added to every group of both sides
        (Jeffreys' prior), so that an empty one counts for much, but not for infinitely much.
        Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227. The Jensen-Shannon distance is as
        `scipy.spatial.distance.jensenshannon(p, q, base=2)`; Lin 1991, doi:10.1109/18.61115.
        V² is the sum of (p - q)² / (p + q) over 2, chi-square over n of two samples of equal size.
        """
        columns = self._column_of
        grouped = self._grouped(windows.counts, windows.tallies)
        rows = windows.rows[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            smooth = (grouped + PSEUDO_COUNT) / (rows + self._pseudo_rows)[:, columns]
            psi = self._total((smooth - self._smooth) * (np.log(smooth) - self._log_smooth))
            now, before = grouped / rows, self._shares
            both = now + before
            divergence = self._total(_entropy(now, both) + _entropy(before, both))
        unscored = self._columns.scores & (rows == windows.tallies[:, :2].sum(axis=1))
        undefined = (rows == 0) | (self._columns.rows == 0) | (self._columns.known == 0) | unscored
        distance = np.sqrt(np.maximum(divergence, 0.0) / (2.0 * np.log(2.0)))
        return {
            "psi": np.where(undefined, np.nan, psi),
            "jensen_shannon": np.where(undefined, np.nan, distance),
            "cramers_v": np.where(
                undefined | self._columns.numbers, np.nan, self._association(now, both)
            ),
        }

    def _grouped(self, counts: NDArray[np.int64], tallies: NDArray[np.int64]) -> Floats:
        """Return (windows, groups): rows of every group, then nulls, then unseen, of each column.

        Every group has at least one bin, for its number is that of a bin in it.
        """
        if self._order is not None:
            counts = counts[:, self._order]
        grouped = np.add.reduceat(counts, self._group_starts, axis=1)
        return np.concatenate([grouped, tallies[:, 0], tallies[:, 1]], axis=1, dtype=np.float64)

    def _total(self, terms: Floats) -> Floats:
        """Return (windows, columns): the sum over each column's groups, nulls and unseen."""
        columns = len(self._columns.bins.columns)
        nulls, unseen = terms[:, -2 * columns : -columns], terms[:, -columns:]
        total = nulls + unseen
        firsts = self._first_groups[self._columns.filled]
        total[:, self._columns.filled] += np.add.reduceat(terms[:, : -2 * columns], firsts, axis=1)
        return total

    def _association(self, now: Floats, both: Floats) -> Floats:
        """Return Cramér's V of the categories; 0 for numbers."""
        found = np.zeros((len(now), len(self._columns.bins.columns)))
        for column in np.flatnonzero(~self._columns.numbers):
            among = np.flatnonzero(self._column_of == column)
            total, gap = both[:, among], now[:, among] - self._shares[among]
            part = np.divide(gap * gap, total, out=np.zeros_like(gap), where=total > 0.0)
            found[:, column] = np.sqrt(part.sum(axis=1) / 2.0)
        return found


def _groups(column: ColumnBins, counts: NDArray[np.int64]) -> Places:
    """Return the group of each bin, from 0: under- and overflow, and between them equal shares."""
    total = max(int(counts.sum()), 1)
    if not len(column.edges):
        common = counts >= RARE * total
        groups = np.where(common, np.cumsum(common), 0)
    else:
        before = np.cumsum(counts) - counts
        groups = 1 + np.minimum(before * GROUPS // total, GROUPS - 1)
        groups[0], groups[-1] = 0, GROUPS + 1
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.intp)


def _entropy(shares: Floats, both: Floats) -> Floats:
    """Return p ln(p / ((p + q) / 2)) for each share; 0 where it is 0."""
    some = shares > 0.0
    ratio = np.divide(2.0 * shares, both, out=np.ones_like(both), where=some)
    return shares * np.log(ratio)
