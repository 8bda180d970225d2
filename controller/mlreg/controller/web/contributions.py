"""What features add to the scores of two groups of rows, as pairs of bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.web.texts import shortened

if TYPE_CHECKING:
    from mlreg.client.wire.explanations import Contributions

WIDTH = 720
LEFT, RIGHT = 190, 120
ROW, TOP = 26, 6
MOST = 15
MOST_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Pair:
    """One feature: what it adds in either group, and how long its bars are."""

    y: int
    name: str
    full: str
    first: float
    second: float
    first_width: float
    second_width: float

    @property
    def difference(self) -> str:
        """How much more it adds in the first group."""
        return f"{self.first - self.second:+.4f}"


@dataclass(frozen=True, slots=True)
class ContributionBars:
    """The whole drawing."""

    width: int
    height: int
    pairs: Sequence[Pair]


def contribution_bars(found: Contributions) -> ContributionBars:
    """Place the features with the largest differences."""
    shown = found.features[:MOST]
    longest = max((max(one.first, one.second) for one in shown), default=0.0) or 1.0
    room = (WIDTH - LEFT - RIGHT) / longest
    pairs = [
        Pair(
            y=TOP + row * ROW,
            name=shortened(one.feature, MOST_LETTERS),
            full=one.feature,
            first=one.first,
            second=one.second,
            first_width=one.first * room,
            second_width=one.second * room,
        )
        for row, one in enumerate(shown)
    ]
    return ContributionBars(WIDTH, TOP + ROW * len(pairs) + TOP, pairs)
