"""Drift as effect sizes: how far a window's profile lies from a reference, not how surely.

A p-value of a large window is always small, and so tells the time rather than the drift. These
sizes do not grow with the rows; what is large is judged against the stream's own history
(`season.py`), not here.

What always holds: only profiles of the same bins are compared; nulls and unseen categories are
groups of their own; where either side has no rows (of the score: none with a score) there is no
size, and None (in arrays: not-a-number) says so.

All windows are compared at once: a `Yardstick` is made of the reference, and laid on a stack of
profiles. A thousand windows of fifty features take less than a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.edge_gaps import EdgeGaps
from mlreg.controller.domain.grouped_shares import GroupedShares
from mlreg.controller.domain.profile import DifferentBinsError, Profile
from mlreg.controller.domain.reference_columns import ReferenceColumns
from mlreg.controller.domain.stack import ProfileStack

SIZES = ("psi", "jensen_shannon", "wasserstein", "ks", "cramers_v")
Floats = NDArray[np.float64]
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
        self.bins = reference.bins
        columns = ReferenceColumns.of(reference)
        self._groups = GroupedShares(reference, columns)
        self._edges = EdgeGaps(reference, columns)

    def measure(self, windows: ProfileStack) -> DriftMatrix:
        """Return every size of every window and column.

        Raises:
            DifferentBinsError: the windows' bins are others than the reference's.
        """
        if windows.bins.digest != self.bins.digest:
            raise DifferentBinsError
        shape = (len(windows), len(self.bins.columns))
        sizes = {name: np.empty(shape) for name in SIZES}
        ends = self._edges.ends_of(windows)

        def fill(start: int) -> None:
            part = slice(start, start + _AT_ONCE)
            chunk = windows[part]
            for name, found in {
                **self._groups.measure(chunk),
                **self._edges.measure(chunk, ends[:, part]),
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


def _optional(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN
