"""Drift as effect sizes: how far a window's profile lies from a reference, not how surely.

A p-value of a large window is always small, and so tells the time rather than the drift. These
sizes do not grow with the rows; what is large is judged against the stream's own history
(`season.py`), not here.

What always holds: only profiles of the same bins are compared; nulls and unseen categories are
groups of their own; where either side has no rows (of the score: none with a score) there is no
size, and None (in arrays: not-a-number) says so. Shares are compared in about twenty groups of bins
(of a category: one for each that has a hundredth of the reference, and one for the rest), for every
group adds its noise: without any drift PSI is about (groups - 1) (1 / rows + 1 / reference rows).

All windows are compared at once: a `Yardstick` is made of the reference, and laid on a stack of
profiles. A thousand windows of fifty features take less than a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.profile import DifferentBinsError, Profile
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.domain.tails import Side, bent_area, tail_area

if TYPE_CHECKING:
    from mlreg.controller.domain.bins import ColumnBins


PSEUDO_COUNT = 0.5
GROUPS = 20
RARE = 0.01
SIZES = ("psi", "jensen_shannon", "wasserstein", "ks", "cramers_v")
NEGLIGIBLE = 0.002
Floats = NDArray[np.float64]
Places = NDArray[np.intp]
ROUNDING = 1e-6
THREADS = 2
_AT_ONCE = 64
"""Windows whose arrays fit the processor's cache together."""


@dataclass(frozen=True, slots=True)
class EffectSizes:
    """How far one column has drifted; None where it is not defined.

    Attributes:
        psi: population stability index (nats, symmetric Kullback-Leibler divergence).
        jensen_shannon: distance, 0 to 1 (square root of the divergence in bits).
        wasserstein: first Wasserstein distance in standard deviations of the reference; numbers.
        ks: Kolmogorov-Smirnov distance, the largest gap of the distribution functions at an edge of
            a bin, 0 to 1; numbers.
        cramers_v: of the table (reference, window) by category, both taken as equally many rows,
            0 to 1: the chi-square statistic freed of the number of rows; categories.
        rows: rows of the window.
    """

    psi: float | None
    jensen_shannon: float | None
    wasserstein: float | None
    ks: float | None
    cramers_v: float | None
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class DriftMatrix:
    """Effect sizes of windows by columns.

    Attributes:
        columns: features in order, then the score.
        rows: (windows,).
        sizes: by name (`SIZES`) an array (windows, columns), not-a-number where undefined.
    """

    columns: tuple[str, ...]
    rows: NDArray[np.int64]
    sizes: Mapping[str, Floats]

    def series(self, size: str, column: str) -> list[float | None]:
        """Return one size of one column, window by window."""
        return _optional(self.sizes[size][:, self.columns.index(column)])

    def window(self, place: int) -> dict[str, EffectSizes]:
        """Return one window's sizes by column."""
        values = {name: _optional(array[place]) for name, array in self.sizes.items()}
        rows = int(self.rows[place])
        return {
            column: EffectSizes(**{name: found[at] for name, found in values.items()}, rows=rows)
            for at, column in enumerate(self.columns)
        }


def effect_sizes(reference: Profile, current: Profile) -> dict[str, EffectSizes]:
    """Return the sizes of every column (features in order, then the score).

    Raises:
        DifferentBinsError: the profiles' bins differ.
    """
    stack = ProfileStack.of([current], current.bins)
    return yardstick_of(reference).measure(stack).window(0)


@lru_cache(maxsize=16)
def yardstick_of(reference: Profile) -> Yardstick:
    """Return the yardstick of a reference, made once for each that is still at hand."""
    return Yardstick(reference)


class Yardstick:
    """A reference, made ready to be compared with any number of windows."""

    def __init__(self, reference: Profile) -> None:
        bins = reference.bins
        self.bins = bins
        self._starts = bins.offsets[:-1]
        self._filled = np.flatnonzero(np.diff(bins.offsets))
        self._numbers = np.array([len(column.edges) > 0 for column in bins.columns], dtype=bool)
        self._scores = np.array([column.name == SCORE for column in bins.columns], dtype=bool)
        self._rows = self._sum(reference.counts[None])[0] + reference.tallies[:2].sum(axis=0)
        self._lay_groups(reference)
        self._lay_edges(reference)

    def measure(self, windows: ProfileStack) -> DriftMatrix:
        """Return every size of every window and column.

        Raises:
            DifferentBinsError: the windows' bins are others than the reference's.
        """
        if windows.bins.digest != self.bins.digest:
            raise DifferentBinsError
        shape = (len(windows), len(self.bins.columns))
        sizes = {name: np.empty(shape) for name in SIZES}
        ends = np.stack([self._bins_of(windows.extremes[:, side]) for side in (0, 1)])

        def fill(start: int) -> None:
            part = slice(start, start + _AT_ONCE)
            chunk = windows[part]
            for name, found in {
                **self._by_group(chunk),
                **self._by_edge(chunk, ends[:, part]),
            }.items():
                sizes[name][part] = found

        starts = range(0, len(windows), _AT_ONCE)
        if len(starts) > 1:  # numpy lets other threads run
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(fill, starts))
        elif starts:
            fill(0)
        names = tuple(column.name for column in self.bins.columns)
        return DriftMatrix(names, windows.rows, sizes)

    def _lay_groups(self, reference: Profile) -> None:
        """Number the groups of all columns through, then one of nulls and one of unseen each."""
        columns, first = self.bins.columns, 0
        groups = np.empty(len(reference.counts), dtype=np.intp)
        sizes = np.zeros(len(columns), dtype=np.intp)
        for place, column in enumerate(columns):
            part = slice(*self.bins.offsets[place : place + 2])
            own = _groups(column, reference.counts[part])
            sizes[place] = own.max(initial=-1) + 1
            groups[part] = own + first
            first += sizes[place]
        order = np.argsort(groups, kind="stable")
        self._order = None if (order == np.arange(len(order))).all() else order
        self._group_starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        self._first_groups = np.cumsum(sizes) - sizes
        places = np.arange(len(columns))
        self._column_of = np.concatenate([np.repeat(places, sizes), places, places])
        self._pseudo_rows = PSEUDO_COUNT * (sizes + 2)
        self._before = self._grouped(reference.counts[None], reference.tallies[None])[0]
        with np.errstate(invalid="ignore"):
            self._shares = self._before / self._rows[self._column_of]
        self._smooth = (self._before + PSEUDO_COUNT) / (self._rows + self._pseudo_rows)[
            self._column_of
        ]
        self._log_smooth = np.log(self._smooth)

    def _lay_edges(self, reference: Profile) -> None:
        """Note the reference's distribution functions, and how wide the bins are."""
        self._known = self._rows - reference.tallies[:2].sum(axis=0)
        repeats = np.diff(self.bins.offsets)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._inverse = np.where(self._known > 0, 1.0 / self._known, 0.0)
        self._function = reference.counts * np.repeat(self._inverse, repeats)
        self._widths, self._lower = np.zeros((2, len(reference.counts)))
        for place in np.flatnonzero(self._numbers):
            start, end = self.bins.offsets[place : place + 2]
            edges = self.bins.columns[place].edges
            self._lower[start + 1 : end] = edges
            self._widths[start + 1 : end - 1] = np.diff(edges)
        self._spans = (self._widths + np.append(self._widths[1:], 0.0)) / 2.0
        self._sigma = _deviations(reference, self._known)
        self._tails = (_side(reference, self._function, 0), _side(reference, self._function, 1))

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
        columns = len(self.bins.columns)
        nulls, unseen = terms[:, -2 * columns : -columns], terms[:, -columns:]
        total = nulls + unseen
        firsts = self._first_groups[self._filled]
        total[:, self._filled] += np.add.reduceat(terms[:, : -2 * columns], firsts, axis=1)
        return total

    def _by_group(self, windows: ProfileStack) -> dict[str, Floats]:
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
        unscored = self._scores & (rows == windows.tallies[:, :2].sum(axis=1))
        undefined = (rows == 0) | (self._rows == 0) | (self._known == 0) | unscored
        distance = np.sqrt(np.maximum(divergence, 0.0) / (2.0 * np.log(2.0)))
        return {
            "psi": np.where(undefined, np.nan, psi),
            "jensen_shannon": np.where(undefined, np.nan, distance),
            "cramers_v": np.where(undefined | self._numbers, np.nan, self._association(now, both)),
        }

    def _association(self, now: Floats, both: Floats) -> Floats:
        """Return Cramér's V of the categories; 0 for numbers."""
        found = np.zeros((len(now), len(self.bins.columns)))
        for column in np.flatnonzero(~self._numbers):
            among = np.flatnonzero(self._column_of == column)
            total, gap = both[:, among], now[:, among] - self._shares[among]
            part = np.divide(gap * gap, total, out=np.zeros_like(gap), where=total > 0.0)
            found[:, column] = np.sqrt(part.sum(axis=1) / 2.0)
        return found

    def _by_edge(self, windows: ProfileStack, ends: Places) -> dict[str, Floats]:
        """Return Wasserstein distance and KS distance, from the gaps of the distribution functions.

        The functions are taken as straight within a bin; the outer bins end at the minimum and the
        maximum. The Wasserstein distance is the area between them.
        """
        known = windows.rows[:, None] - windows.tallies[:, 0] - windows.tallies[:, 1]
        undefined = (known == 0) | (self._known == 0) | ~self._numbers
        gaps, shares = self._gaps(windows, known)
        sizes = np.abs(gaps)
        area = self._sum(sizes * self._spans) - self._crossings(gaps)
        for number, reference in enumerate(self._tails):
            area += tail_area(reference, _side_of(windows, shares, number))
            area += self._bends(windows, (gaps, shares), ends[number], number)
        with np.errstate(invalid="ignore", divide="ignore"):
            wasserstein = area / self._sigma
        highest = np.zeros(known.shape)
        highest[:, self._filled] = np.maximum.reduceat(sizes, self._starts[self._filled], axis=1)
        return {
            "wasserstein": np.where(undefined | ~np.isfinite(wasserstein), np.nan, wasserstein),
            "ks": np.where(undefined, np.nan, highest),
        }

    def _gaps(self, windows: ProfileStack, known: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return G - F at the upper edge of each bin, and the windows' shares by bin.

        Both functions end at one, so that one running sum over all columns begins each at zero; a
        column without known values on either side is given the other's function.
        """
        repeats = np.diff(self.bins.offsets)
        with np.errstate(divide="ignore"):
            inverse = np.where((known > 0) & (self._known > 0), 1.0 / known, 0.0)
        alike = (inverse == inverse[:, :1]).all()  # nothing is missing: one factor per window
        factors = inverse[:, :1] if alike else np.repeat(inverse, repeats, axis=1)
        shares: Floats = np.multiply(windows.counts, factors, dtype=np.float64)
        for window, column in np.argwhere((known == 0) & (self._known > 0)):
            part = slice(*self.bins.offsets[column : column + 2])
            shares[window, part] = self._function[part]
        gaps: Floats = np.cumsum(shares - self._function, axis=1)
        return gaps, shares

    def _crossings(self, gaps: Floats) -> Floats:
        """Return what the trapezoids over |gap| hold too much where the functions cross."""
        over = np.zeros((len(gaps), len(self.bins.columns)))
        crossed = (gaps[:, 1:] * gaps[:, :-1] < 0.0) & (self._widths[1:] > 0.0)
        window, place = np.nonzero(crossed)
        left, right = np.abs(gaps[window, place]), np.abs(gaps[window, place + 1])
        column = np.searchsorted(self.bins.offsets, place + 1, side="right") - 1
        excess = self._widths[place + 1] * left * right / (left + right)
        flat = np.bincount(window * over.shape[1] + column, excess, minlength=over.size)
        return flat.reshape(over.shape).astype(np.float64)

    def _bends(
        self,
        windows: ProfileStack,
        gaps_and_shares: tuple[Floats, Floats],
        bins: Places,
        number: int,
    ) -> Floats:
        """Return what the area lacks because a function bends inside the bin of its extreme.

        Left out where it would change the distance by less than a thousandth: where the bin is
        narrow, or has few rows.
        """
        gaps, shares = gaps_and_shares
        lacks = np.zeros((len(gaps), len(self.bins.columns)))
        held = np.take_along_axis(shares, bins, axis=1)
        window, column = np.nonzero(held * self._widths[bins] > NEGLIGIBLE * self._sigma)
        at, share = bins[window, column], held[window, column]
        cut = (windows.extremes[window, number, column] - self._lower[at]) / self._widths[at]
        rise = share * (1.0 - cut) if number else -share * cut
        bent = bent_area(gaps[window, at - 1], gaps[window, at], cut, rise)
        lacks[window, column] = self._widths[at] * bent
        return lacks

    def _bins_of(self, values: Floats) -> Places:
        """Return the bin of one value (windows, columns) in each column; widths of codes are 0."""
        found = np.broadcast_to(self._starts, values.shape).copy()
        for column in np.flatnonzero(self._numbers):
            edges = self.bins.columns[column].edges
            found[:, column] += np.searchsorted(edges, values[:, column], side="right")
        return np.minimum(found, len(self._widths) - 1)

    def _sum(self, values: NDArray[Any]) -> Floats:
        """Return (windows, columns): the sum over each column's bins."""
        found = np.zeros((len(values), len(self.bins.columns)))
        found[:, self._filled] = np.add.reduceat(values, self._starts[self._filled], axis=1)
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


def _deviations(reference: Profile, known: NDArray[np.int64]) -> Floats:
    """Return the standard deviation of each column, not-a-number where there is none to divide by.

    A millionth of the values' own distance from the zero of their bins is rounding, not spread: a
    reference that is constant would else put windows millions of deviations away.
    """
    units = np.array([column.unit for column in reference.bins.columns])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean, square = reference.sums / known
        sigma = units * np.sqrt(np.maximum(square - mean * mean, 0.0))
        rounding = ROUNDING * units * np.sqrt(square)
    return np.where((sigma > rounding) & np.isfinite(sigma), sigma, np.nan)


def _side(reference: Profile, shares: Floats, number: int) -> Side:
    stack = ProfileStack.of([reference], reference.bins)
    return _side_of(stack, shares[None], number)


def _side_of(windows: ProfileStack, shares: Floats, number: int) -> Side:
    """Return what lies beyond the first edge (0) or the last one (1) of every column."""
    bins = windows.bins
    edges = np.array(
        [(c.edges[0], c.edges[-1]) if len(c.edges) else (0.0, 0.0) for c in bins.columns]
    )
    places = np.minimum(
        bins.offsets[:-1] if number == 0 else bins.offsets[1:] - 1, bins.offsets[-1] - 1
    )
    beyond = np.maximum(
        edges[:, 0] - windows.extremes[:, 0]
        if number == 0
        else windows.extremes[:, 1] - edges[:, 1],
        0.0,
    )
    return Side(shares[:, places], beyond)


def _optional(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN
