"""Effect sizes of distribution functions: Wasserstein distance and the Kolmogorov-Smirnov distance.

What always holds: they are of numbers only; the functions are taken as straight within a bin, and
the outer bins end at the minimum and the maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.domain.tails import Side, bent_area, tail_area

if TYPE_CHECKING:
    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.domain.reference_columns import ReferenceColumns

NEGLIGIBLE = 0.002
ROUNDING = 1e-6
Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class EdgeGaps:
    """The distribution functions of a reference at the edges of its bins."""

    def __init__(self, reference: Profile, columns: ReferenceColumns) -> None:
        """Note the functions, and how wide the bins are."""
        self._columns = columns
        repeats = np.diff(columns.bins.offsets)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._inverse = np.where(columns.known > 0, 1.0 / columns.known, 0.0)
        self._function = reference.counts * np.repeat(self._inverse, repeats)
        self._widths, self._lower = np.zeros((2, len(reference.counts)))
        for place in np.flatnonzero(columns.numbers):
            start, end = columns.bins.offsets[place : place + 2]
            edges = columns.bins.columns[place].edges
            self._lower[start + 1 : end] = edges
            self._widths[start + 1 : end - 1] = np.diff(edges)
        self._spans = (self._widths + np.append(self._widths[1:], 0.0)) / 2.0
        self._sigma = _deviations(reference, columns.known)
        self._tails = (_side(reference, self._function, 0), _side(reference, self._function, 1))

    def ends_of(self, windows: ProfileStack) -> Places:
        """Return (2, windows, columns): the bins of the least and the largest values."""
        return np.stack([self._bins_of(windows.extremes[:, side]) for side in (0, 1)])

    def measure(self, windows: ProfileStack, ends: Places) -> dict[str, Floats]:
        """Return Wasserstein distance and KS distance, from the gaps of the distribution functions.

        The Wasserstein distance is the area between them.
        """
        known = windows.rows[:, None] - windows.tallies[:, 0] - windows.tallies[:, 1]
        undefined = (known == 0) | (self._columns.known == 0) | ~self._columns.numbers
        gaps, shares = self._gaps(windows, known)
        sizes = np.abs(gaps)
        area = self._columns.summed(sizes * self._spans) - self._crossings(gaps)
        for number, reference in enumerate(self._tails):
            area += tail_area(reference, _side_of(windows, shares, number))
            area += self._bends(windows, (gaps, shares), ends[number], number)
        with np.errstate(invalid="ignore", divide="ignore"):
            wasserstein = area / self._sigma
        highest = np.zeros(known.shape)
        highest[:, self._columns.filled] = np.maximum.reduceat(
            sizes, self._columns.starts[self._columns.filled], axis=1
        )
        return {
            "wasserstein": np.where(undefined | ~np.isfinite(wasserstein), np.nan, wasserstein),
            "ks": np.where(undefined, np.nan, highest),
        }

    def _gaps(self, windows: ProfileStack, known: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return G - F at the upper edge of each bin, and the windows' shares by bin.

        Both functions end at one, so that one running sum over all columns begins each at zero; a
        column without known values on either side is given the other's function.
        """
        repeats = np.diff(self._columns.bins.offsets)
        with np.errstate(divide="ignore"):
            inverse = np.where((known > 0) & (self._columns.known > 0), 1.0 / known, 0.0)
        alike = (inverse == inverse[:, :1]).all()  # nothing is missing: one factor per window
        factors = inverse[:, :1] if alike else np.repeat(inverse, repeats, axis=1)
        shares: Floats = np.multiply(windows.counts, factors, dtype=np.float64)
        for window, column in np.argwhere((known == 0) & (self._columns.known > 0)):
            part = slice(*self._columns.bins.offsets[column : column + 2])
            shares[window, part] = self._function[part]
        gaps: Floats = np.cumsum(shares - self._function, axis=1)
        return gaps, shares

    def _crossings(self, gaps: Floats) -> Floats:
        """Return what the trapezoids over |gap| hold too much where the functions cross."""
        over = np.zeros((len(gaps), len(self._columns.bins.columns)))
        crossed = (gaps[:, 1:] * gaps[:, :-1] < 0.0) & (self._widths[1:] > 0.0)
        window, place = np.nonzero(crossed)
        left, right = np.abs(gaps[window, place]), np.abs(gaps[window, place + 1])
        column = np.searchsorted(self._columns.bins.offsets, place + 1, side="right") - 1
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
        lacks = np.zeros((len(gaps), len(self._columns.bins.columns)))
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
        found = np.broadcast_to(self._columns.starts, values.shape).copy()
        for column in np.flatnonzero(self._columns.numbers):
            edges = self._columns.bins.columns[column].edges
            found[:, column] += np.searchsorted(edges, values[:, column], side="right")
        return np.minimum(found, len(self._widths) - 1)


def _deviations(reference: Profile, known: Floats) -> Floats:
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
