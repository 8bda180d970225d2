"""A backtest as drawings: the metric of each policy by its seconds of training, and what age costs.

Whiskers are 95 %. Seconds stand by their logarithm, for policies differ a hundredfold; none is 0.
A name that would lie over another one is left out: the tip of its point and the table have it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log1p
from typing import TYPE_CHECKING

from mlreg.controller.web.trends import BOTTOM, HEIGHT, LEFT, PADDING, RIGHT, TOP, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.wire.backtests import Backtested, BacktestedPolicy, Estimate

NAMED = 8
LETTER, LINE = 7, 13
"""How wide a letter of a name is at most, and how high a line of them."""
ABOVE, BELOW = -7.0, 16.0


@dataclass(frozen=True, slots=True)
class Point:
    """One estimate: where it stands, its whiskers, its name where there is room, what it says.

    Attributes:
        named_at: how far down its name stands.
    """

    x: float
    y: float
    whiskers: tuple[float, float] | None
    kind: str
    name: str
    said: str
    named_at: float = 0.0

    @property
    def ends(self) -> bool:
        """Whether its name ends at the point, rather than begins there."""
        return self.x > WIDTH / 2


@dataclass(frozen=True, slots=True)
class Points:
    """A whole drawing; `line` joins the points of the frontier, or all of them."""

    points: Sequence[Point]
    line: str
    low: str
    high: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class _Placed:
    across: float
    value: Estimate
    kind: str
    name: str
    said: str


def frontier_of(found: Backtested) -> Points:
    """Place the policies of a backtest."""
    named = {one.name for one in found.front[:NAMED]}
    placed = [
        _Placed(
            log1p(one.train_seconds),
            one.value,
            _kind(one),
            one.name if one.name in named else "",
            f"{one.name}: {_spell(one.value)}, {one.trainings} runs, {one.train_seconds:.1f} s",
        )
        for one in found.policies
    ]
    most = max(one.train_seconds for one in found.policies)
    return _points(placed, ("0 s", f"{most:.3g} s of training"), joined="front")


def ages_of(found: Backtested) -> Points | None:
    """Place what each age costs; None where nothing is known of it."""
    if not found.freshness:
        return None
    placed = [
        _Placed(float(one.weeks), one.lost, "front", "", f"{_age(one.weeks)}: {_spell(one.lost)}")
        for one in found.freshness
    ]
    ends = (_age(found.freshness[0].weeks), _age(found.freshness[-1].weeks))
    return _points(placed, ends, joined="front")


def _kind(one: BacktestedPolicy) -> str:
    if one.pareto:
        return "front"
    return "anchor" if one.anchor else "other"


def _points(placed: Sequence[_Placed], ends: tuple[str, str], *, joined: str) -> Points:
    values = [
        end
        for one in placed
        for end in (one.value.estimate, one.value.low, one.value.high)
        if end is not None
    ]
    room = (max(values) - min(values) or 1.0) * PADDING
    low, high = min(values) - room, max(values) + room
    left, right = min(one.across for one in placed), max(one.across for one in placed)

    def across(value: float) -> float:
        share = (value - left) / (right - left) if right > left else 0.5
        return LEFT + PADDING * WIDTH / 2 + share * (WIDTH * (1 - PADDING) - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    points = [
        Point(
            across(one.across),
            up(one.value.estimate),
            None
            if one.value.low is None or one.value.high is None
            else (up(one.value.high), up(one.value.low)),
            one.kind,
            one.name,
            one.said,
        )
        for one in sorted(placed, key=lambda one: one.across)
    ]
    line = " ".join(f"{one.x:.1f},{one.y:.1f}" for one in points if one.kind == joined)
    return Points(_named(points), line, f"{low:.4g}", f"{high:.4g}", *ends)


def _named(points: Sequence[Point]) -> list[Point]:
    """Give each name a place above its point or below, or none where both are taken."""
    taken: list[tuple[float, float, float]] = []
    placed = []
    for one in points:
        width = LETTER * len(one.name)
        left = one.x - 7 - width if one.ends else one.x + 7
        free = (
            one.y + by
            for by in (ABOVE, BELOW)
            if one.name and not any(_meet((left, left + width, one.y + by), it) for it in taken)
        )
        named_at = next(free, None)
        if named_at is None:
            placed.append(replace(one, name=""))
            continue
        taken.append((left, left + width, named_at))
        placed.append(replace(one, named_at=named_at))
    return placed


def _meet(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Say whether two texts, each from left to right at a height, lie over each other."""
    return one[0] < other[1] and other[0] < one[1] and abs(one[2] - other[2]) < LINE


def _age(weeks: int) -> str:
    return "1 week old" if weeks == 1 else f"{weeks} weeks old"


def _spell(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.estimate:.4f}"
    return f"{one.estimate:.4f} ({one.low:.4f} to {one.high:.4f})"
