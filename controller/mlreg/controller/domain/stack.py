"""A stack of profiles: those of many windows in arrays, one row for each window.

What always holds: all profiles of a stack have the same bins; merging a stack is merging its
profiles. Decoding, merging and comparing a thousand windows costs a few calls of numpy, not a
thousand.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.profile import (
    BrokenProfileError,
    DifferentBinsError,
    Profile,
    body_layout,
    empty_profile,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, eq=False)
class ProfileStack:
    """The profiles of n windows.

    Attributes:
        rows: (n,): rows of each window.
        counts: (n, bins): every column's bins, one after the other (`bins.offsets`).
        tallies: (n, 3, columns): nulls, unseen, rows at the default.
        sums: (n, 2, columns): sum and sum of squares of (value - center) / unit.
        extremes: (n, 2, columns): minimum and maximum; +inf and -inf without known values.
    """

    bins: Bins
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    tallies: NDArray[np.int64]
    sums: NDArray[np.float64]
    extremes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, profiles: Sequence[Profile], bins: Bins) -> ProfileStack:
        """Return the stack of some profiles, which may be none.

        Raises:
            DifferentBinsError: they have other bins.
        """
        if any(one.bins.digest != bins.digest for one in profiles):
            raise DifferentBinsError
        if not profiles:
            return cls.of([empty_profile(bins)], bins)[:0]
        return cls(
            bins,
            np.array([one.rows for one in profiles], dtype=np.int64),
            np.stack([one.counts for one in profiles]),
            np.stack([one.tallies for one in profiles]),
            np.stack([one.sums for one in profiles]),
            np.stack([one.extremes for one in profiles]),
        )

    @classmethod
    def from_bytes(cls, bodies: Sequence[bytes], bins: Bins) -> ProfileStack:
        """Decode what `Profile.to_bytes` wrote; bodies of one length are decoded together.

        Raises:
            BrokenProfileError: one of them is not a profile of these bins.
        """
        stack = _blank(len(bodies), bins)
        places: dict[int, list[int]] = defaultdict(list)
        for place, body in enumerate(bodies):
            places[len(body)].append(place)
        for length, among in places.items():
            raw = np.frombuffer(b"".join([bodies[place] for place in among]), np.uint8)
            _decode(raw.reshape(len(among), length), np.array(among), stack)
        return stack

    def __getitem__(self, chosen: slice) -> ProfileStack:
        return self.take(chosen)

    def take(self, chosen: slice | NDArray[np.intp]) -> ProfileStack:
        """Return the stack of some of the windows."""
        return ProfileStack(
            self.bins,
            self.rows[chosen],
            self.counts[chosen],
            self.tallies[chosen],
            self.sums[chosen],
            self.extremes[chosen],
        )

    def and_then(self, other: ProfileStack) -> ProfileStack:
        """Return these windows, and then others under the same bins.

        Raises:
            DifferentBinsError: they have other bins.
        """
        if other.bins.digest != self.bins.digest:
            raise DifferentBinsError
        return ProfileStack(
            self.bins,
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.tallies, other.tallies]),
            np.concatenate([self.sums, other.sums]),
            np.concatenate([self.extremes, other.extremes]),
        )

    def profile(self, place: int) -> Profile:
        """Return the profile of one window."""
        return Profile(
            self.bins,
            int(self.rows[place]),
            self.counts[place],
            self.tallies[place],
            self.sums[place],
            self.extremes[place],
        )

    def merged(self) -> Profile:
        """Return the one profile of all windows' rows; that of no rows for no windows."""
        if not len(self):
            return empty_profile(self.bins)
        return self.merged_by(np.zeros(len(self), dtype=np.intp)).profile(0)

    def merged_by(self, keys: NDArray[np.generic]) -> ProfileStack:
        """Merge neighbouring windows of the same key into one (a day of its hours, say)."""
        if not len(self):
            return self
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        if len(starts) == len(self):
            return self
        with np.errstate(over="ignore", invalid="ignore"):  # as `merge_all`
            sums = np.add.reduceat(self.sums, starts)
        low = np.minimum.reduceat(self.extremes[:, 0], starts)
        high = np.maximum.reduceat(self.extremes[:, 1], starts)
        return ProfileStack(
            self.bins,
            np.add.reduceat(self.rows, starts),
            np.add.reduceat(self.counts, starts),
            np.add.reduceat(self.tallies, starts),
            sums,
            np.stack([low, high], axis=1),
        )


def _blank(windows: int, bins: Bins) -> ProfileStack:
    size, places = int(bins.offsets[-1]), len(bins.columns)
    return ProfileStack(
        bins,
        np.empty(windows, dtype=np.int64),
        np.empty((windows, size), dtype=np.int64),
        np.empty((windows, 3, places), dtype=np.int64),
        np.empty((windows, 2, places)),
        np.empty((windows, 2, places)),
    )


def _decode(raw: NDArray[np.uint8], places: NDArray[np.intp], into: ProfileStack) -> None:
    """Write bodies of one length, a row of bytes each, to their places."""
    layout = body_layout(raw[0].tobytes(), into.bins)
    if (raw[:, : layout.same] != raw[0, : layout.same]).any():
        raise BrokenProfileError
    size, columns = into.counts.shape[1], into.tallies.shape[2]
    into.rows[places] = _view(raw, layout.rows, "<i8").ravel()
    whole = _view(raw, layout.whole, layout.kind)
    into.counts[places] = whole[:, :size]
    into.tallies[places] = whole[:, size:].reshape(len(raw), 3, columns)
    real = _view(raw, layout.real, "<f8").reshape(len(raw), 2, 2, columns)
    into.sums[places], into.extremes[places] = real[:, 0], real[:, 1]


def _view(
    raw: NDArray[np.uint8], part: slice, kind: np.dtype[np.generic] | str
) -> NDArray[np.generic]:
    """Return one part of each body as numbers."""
    return np.ascontiguousarray(raw[:, part]).view(kind)
