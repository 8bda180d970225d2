"""A feature's distribution in a window beside that of the reference, as pairs of bars."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.web.texts import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import ColumnBins
    from mlreg.controller.domain.profile import ColumnProfile

WIDTH = 720
LEFT, RIGHT = 190, 120
ROW, BAR = 26, 9
TOP = 6
MOST_CATEGORIES = 16
LEAST_SHARE = 0.035
MOST_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Bars:
    """One part of the values: its name, its two shares, and how long their bars are."""

    y: int
    name: str
    full: str
    now: float
    before: float
    now_width: float
    before_width: float

    @property
    def said(self) -> str:
        """What a tooltip says."""
        return f"{self.full}: {self.now:.2%} of the window, {self.before:.2%} of the rows beside it"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The whole drawing; how many rows of either side have a value, a null or something unseen."""

    width: int
    height: int
    now_rows: int
    before_rows: int
    bars: Sequence[Bars]


def distribution_of(column: ColumnBins, before: ColumnProfile, now: ColumnProfile) -> Distribution:
    """Pair the shares of both sides by category, or by neighbouring bins of a number."""
    parts = _categories(column, before, now) if column.scale == "codes" else _ranges(before, now)
    parts += [
        ("missing", _share(before.nulls, before), _share(now.nulls, now)),
        ("unseen", _share(before.unseen, before), _share(now.unseen, now)),
    ]
    shown = [part for part in parts if part[1] or part[2] or part[0] not in {"missing", "unseen"}]
    longest = max((max(part[1:]) for part in shown), default=0.0) or 1.0
    room = (WIDTH - LEFT - RIGHT) / longest
    bars = [
        Bars(
            TOP + row * ROW,
            shortened(name, MOST_LETTERS),
            name,
            after,
            first,
            after * room,
            first * room,
        )
        for row, (name, first, after) in enumerate(shown)
    ]
    return Distribution(WIDTH, TOP + ROW * len(bars) + TOP, _rows(now), _rows(before), bars)


Part = tuple[str, float, float]


def _categories(column: ColumnBins, before: ColumnProfile, now: ColumnProfile) -> list[Part]:
    """Return the largest categories of either side, and the rest as one."""
    sizes = np.maximum(_shares(before.counts, before), _shares(now.counts, now))
    order = np.argsort(-sizes, kind="stable")
    parts = [
        (
            column.categories[code],
            _share(int(before.counts[code]), before),
            _share(int(now.counts[code]), now),
        )
        for code in order[:MOST_CATEGORIES]
    ]
    others = order[MOST_CATEGORIES:]
    if len(others):
        first, after = (int(side.counts[others].sum()) for side in (before, now))
        name = f"{len(others)} others"
        parts.append((name, _share(first, before), _share(after, now)))
    return parts


def _ranges(before: ColumnProfile, now: ColumnProfile) -> list[Part]:
    """Merge neighbouring bins until each part has enough of the training rows to be seen.

    What lies below and above the training rows stays alone.
    """
    shares, borders = _shares(before.counts, before), [0, 1]
    gathered = 0.0
    for place in range(1, len(shares) - 1):
        gathered += shares[place]
        if gathered >= LEAST_SHARE:
            borders.append(place + 1)
            gathered = 0.0
    if borders[-1] != len(shares) - 1:
        borders.append(len(shares) - 1)
    borders.append(len(shares))
    return [
        (
            _range(before.edges, first, end),
            _share(int(before.counts[first:end].sum()), before),
            _share(int(now.counts[first:end].sum()), now),
        )
        for first, end in itertools.pairwise(borders)
        if first < end
    ]


def _range(edges: NDArray[np.float64], first: int, end: int) -> str:
    """Return what the bins from `first` to before `end` hold."""
    if first == 0:
        return f"below {edges[0]:.5g}"
    if end > len(edges):
        return f"{edges[-1]:.5g} and above"
    return f"{edges[first - 1]:.5g} to {edges[end - 1]:.5g}"


def _shares(counts: NDArray[np.int64], side: ColumnProfile) -> NDArray[np.float64]:
    return counts / max(_rows(side), 1)


def _share(count: int, side: ColumnProfile) -> float:
    return count / max(_rows(side), 1)


def _rows(side: ColumnProfile) -> int:
    """Return the rows of a column: of the reference's scores others than of its features."""
    return int(side.counts.sum()) + side.nulls + side.unseen
