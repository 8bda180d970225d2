"""The worst slices of a window: where a value is surely higher (or has moved more) than elsewhere.

Every level of every feature is looked at, and every pair of levels of two features. Slices are
ranked by a lower confidence bound of their excess over the rest of the rows. It takes Student's t
at 0.05 over the number of slices that were looked at (Bonferroni), so that in 19 of 20 windows
without any bad slice none is named; simulations assert it. The idea, the t-statistic and the two
levels are those of Slice Finder (Chung et al., ICDE 2019, doi:10.1109/ICDE.2019.00139); that
exhaustive search is a matter of adding up codes is from SliceLine (Sagadeeva & Boehm, SIGMOD 2021,
doi:10.1145/3448016.3457323).

What always holds: of slices that overlap the one named first stands, and another only if it is
still surely worse without those rows; a pair is named instead of its wider slice only where it is
clearly worse than the rest of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from mlreg.controller.domain.contrast import (
    LEAST_BLOCKS,
    Booleans,
    Contrast,
    Floats,
    Integers,
    Sample,
    Tally,
    contrast,
)
from mlreg.controller.domain.levels import Levels

T = TypeVar("T", bound=np.generic)
CONFIDENCE = 0.95
CANDIDATES = 60
MAX_PAIRED = 40
"""Features whose pairs are looked at: those with the most telling levels; all pairs count."""
NARROWER = 3.5
"""Standard errors by which a pair must be worse than the rest of a slice that holds it: 0.05 over
the about two hundred pairs that one slice holds."""
ALONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """The rows to be searched.

    Attributes:
        features: with codes of the rows of `now` and, behind them, of `before`.
        now: the value of the window's rows.
        before: of rows to compare with: then slices are ranked by how much more (or less) their
            mean has moved than that of the rest; None: by how much it is higher.
        least: rows that a slice, and its rest, need.
        searches: how many searches of one window share the chance of a false alarm.
    """

    features: Sequence[Levels]
    now: Sample
    before: Sample | None
    least: int
    searches: int = 1

    def measure(
        self, cells: Integers, size: int, wanted: Integers, among: Booleans | None = None
    ) -> Measured:
        """Compare the rows of the wanted cells each with all others (among some rows).

        Args:
            cells: of all rows, 0 to `size` - 1.
            size: how many cells there are.
            wanted: the cells to measure.
            among: the rows that count; all.
        """
        split = len(self.now)
        masks = (None, None) if among is None else (among[:split], among[split:])
        now = _contrast(self.now, cells[:split], (size, wanted), masks[0])
        if self.before is None:
            return Measured(now, None, self.least, self.searches)
        before = _contrast(self.before, cells[split:], (size, wanted), masks[1])
        return Measured(now, before, self.least, self.searches)

    def measure_one(self, mask: Booleans, among: Booleans | None = None) -> Measured:
        """Compare some rows with all others (among some rows)."""
        return self.measure(mask.astype(np.intp), 2, np.array([1]), among)

    def mask(self, place: Integers) -> Booleans:
        """Return the rows of a slice."""
        first, level, second, other = place
        rows: Booleans = self.features[first].codes == level
        return rows if second == ALONE else rows & (self.features[second].codes == other)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Slices, each with its excess: of the mean, or of how far the mean has moved."""

    now: Contrast
    before: Contrast | None
    least: int
    searches: int

    @property
    def excess(self) -> Floats:
        """How much higher the mean of the slice is, or how much further up it has moved."""
        return self.now.excess - (0.0 if self.before is None else self.before.excess)

    @property
    def error(self) -> Floats:
        """The standard error of the excess."""
        return (
            self.now.error if self.before is None else np.hypot(self.now.error, self.before.error)
        )

    @property
    def blocks(self) -> Floats:
        """The effective number of blocks that it rests on."""
        if self.before is None:
            return self.now.blocks
        return np.minimum(self.now.blocks, self.before.blocks)

    @property
    def is_large(self) -> Booleans:
        """Whether there are enough rows in and outside of the slice."""
        fewest = np.minimum(self.now.rows, self.now.rest_rows)
        if self.before is not None:
            fewest = np.minimum(fewest, np.minimum(self.before.rows, self.before.rest_rows))
        return np.asarray(fewest >= self.least, dtype=bool)

    @property
    def is_spread(self) -> Booleans:
        """Whether the slice lies in enough blocks, so that its error can be told."""
        return (self.blocks >= LEAST_BLOCKS) & (self.error > 0.0)

    def bounds(self, looked_at: int) -> Floats:
        """Return by how much each excess is surely beyond zero, in either direction or upwards."""
        sides = 1 if self.before is None else 2
        chance = (1.0 - CONFIDENCE) / max(looked_at, 1) / sides / self.searches
        reach = stdtrit(self.blocks - 1.0, 1.0 - chance) * self.error
        size = self.excess if self.before is None else np.abs(self.excess)
        return np.asarray(size - reach, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice that is surely worse than the rest.

    Attributes:
        conditions: pairs of a feature and what it is.
        mean, rest: of the value, in the slice and elsewhere.
        before, rest_before: the same of the rows to compare with; None without them.
        excess: how much higher the mean is; how much further it has moved.
        low: at least so much of it is sure.
        lift: what the mean of all rows would lose without the slice.
    """

    conditions: tuple[tuple[str, str], ...]
    rows: int
    mean: float
    rest: float
    before: float | None
    rest_before: float | None
    excess: float
    low: float
    lift: float
    mask: Booleans


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search has found.

    Attributes:
        slices: the worst first.
        looked_at: how many slices were looked at, or would have been.
        confined: large slices that lie in too few blocks of time to be told from a bad moment.
    """

    slices: tuple[Slice, ...]
    looked_at: int
    confined: int


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """Slices of one partition: (k, 4) places (feature, level, feature or ALONE, level)."""

    places: NDArray[np.intp]
    measured: Measured


def worst_slices(searched: Searched, *, most: int = 10) -> Findings:
    """Return the worst slices of the rows.

    Args:
        searched: the rows.
        most: how many slices are named at most.
    """
    singles = [_single(searched, number) for number in range(len(searched.features))]
    paired = _telling(singles)
    parts = [*singles, *(_pair(searched, *two) for two in combinations(paired, 2))]
    if not parts:
        return Findings((), 0, 0)
    places = _joined([part.places for part in parts])
    large = _joined([part.measured.is_large for part in parts])
    told = large & _joined([part.measured.is_spread for part in parts])
    looked_at = int(told.sum()) + _left_out(searched, paired)
    bounds = _joined([part.measured.bounds(looked_at) for part in parts])
    bounds = np.where(told, bounds, -np.inf)
    order = np.argsort(-bounds, kind="stable")[:CANDIDATES]
    sure = places[order[bounds[order] > 0.0]]
    found = _distinct(searched, sure, looked_at)
    slices = tuple(one for one, _ in zip(found, range(most), strict=False))
    return Findings(slices, looked_at, int((large & ~told).sum()))


def _contrast(
    sample: Sample, cells: Integers, which: tuple[int, Integers], among: Booleans | None
) -> Contrast:
    if among is not None:
        sample, cells = sample.where(among), cells[among]
    size, wanted = which
    return contrast(Tally.of(sample, cells, size)[wanted], sample)


def _single(searched: Searched, number: int) -> _Looked:
    levels = searched.features[number]
    wanted = np.arange(len(levels))
    places = np.full((len(levels), 4), ALONE)
    places[:, 0], places[:, 1] = number, wanted
    return _Looked(places, searched.measure(levels.codes, len(levels) + 1, wanted))


def _pair(searched: Searched, first: int, second: int) -> _Looked:
    """Look at every cell of two features."""
    one, other = searched.features[first], searched.features[second]
    width = len(other) + 1
    wanted = np.arange(len(one) * width).reshape(-1, width)[:, :-1].ravel()
    places = np.full((len(wanted), 4), first)
    places[:, 1], places[:, 2], places[:, 3] = wanted // width, second, wanted % width
    cells = one.codes * width + other.codes
    return _Looked(places, searched.measure(cells, (len(one) + 1) * width, wanted))


def _telling(singles: Sequence[_Looked]) -> list[int]:
    """Return the features whose pairs are looked at, in order."""

    def strength(number: int) -> float:
        measured = singles[number].measured
        told = measured.is_large & measured.is_spread
        return float(np.abs(measured.excess[told] / measured.error[told]).max(initial=0.0))

    order = sorted(range(len(singles)), key=lambda number: -strength(number))
    return sorted(order[:MAX_PAIRED])


def _left_out(searched: Searched, paired: Sequence[int]) -> int:
    """Return how many slices at most are left out: which ones was chosen by looking."""
    features = searched.features
    rows = len(searched.now) // searched.least
    left_out = set(range(len(features))) - set(paired)
    return sum(
        min(len(features[one]) * len(features[other]), rows)
        for one, other in combinations(range(len(features)), 2)
        if one in left_out or other in left_out
    )


def _distinct(searched: Searched, places: NDArray[np.intp], looked_at: int) -> Iterator[Slice]:
    """Yield slices, the surest first, that are worse beyond what was yielded before."""
    singles = {(place[0], place[1]) for place in places if place[2] == ALONE}
    left = np.ones(len(searched.features[0].codes) if searched.features else 0, dtype=bool)
    for place in places:
        mask = searched.mask(place)
        if not _is_narrower(searched, place, mask, singles):
            continue
        if not left.all() and not _is_sure(searched, mask, left, looked_at):
            continue
        left &= ~mask
        yield _slice(searched, place, mask, looked_at)


def _is_narrower(
    searched: Searched, place: Integers, mask: Booleans, singles: set[tuple[int, int]]
) -> bool:
    """Say whether a pair is clearly worse than the rest of each sure slice that holds it."""
    if place[2] == ALONE:
        return True
    for feature, level in (place[:2], place[2:]):
        if (feature, level) not in singles:
            continue
        wider = searched.features[feature].codes == level
        found = searched.measure_one(mask, wider)
        away = found.excess[0] if searched.before is None else abs(found.excess[0])
        if not (found.is_spread[0] and away > NARROWER * found.error[0]):
            return False
    return True


def _is_sure(searched: Searched, mask: Booleans, left: Booleans, looked_at: int) -> bool:
    found = searched.measure_one(mask, left)
    if not (found.is_large[0] and found.is_spread[0]):
        return False
    return bool(found.bounds(looked_at)[0] > 0.0)


def _slice(searched: Searched, place: Integers, mask: Booleans, looked_at: int) -> Slice:
    found = searched.measure_one(mask)
    features = searched.features
    ends = [place[:2]] if place[2] == ALONE else [place[:2], place[2:]]
    now, before = found.now, found.before
    excess, share = float(found.excess[0]), float(now.rows[0]) / len(searched.now)
    return Slice(
        conditions=tuple((features[one].name, features[one].texts[level]) for one, level in ends),
        rows=int(now.rows[0]),
        mean=float(now.mean[0]),
        rest=float(now.rest[0]),
        before=None if before is None else float(before.mean[0]),
        rest_before=None if before is None else float(before.rest[0]),
        excess=excess,
        low=float(np.copysign(found.bounds(looked_at)[0], excess)),
        lift=share * float(now.excess[0]),
        mask=mask[: len(searched.now)],
    )


def _joined(parts: Sequence[NDArray[T]]) -> NDArray[T]:
    return np.concatenate(parts)
