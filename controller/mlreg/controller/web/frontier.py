"""A backtest as drawings: the metric of each policy by its seconds of training, and what age costs.

Whiskers are 95 %. Seconds stand by their logarithm, for policies differ a hundredfold; none is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING

from mlreg.controller.web.trends import BOTTOM, HEIGHT, LEFT, PADDING, RIGHT, TOP, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.wire.backtests import Backtested, BacktestedPolicy, Estimate

NAMED = 8


@dataclass(frozen=True, slots=True)
class Point:
    """One estimate: where it stands, its whiskers, its name where there is room, what it says."""

    x: float
    y: float
    whiskers: tuple[float, float] | None
    kind: str
    name: str
    said: str


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
    return _points(placed, ("0 s", f"{most:.0f} s of training"), joined="front")


def ages_of(found: Backtested) -> Points | None:
    """Place what each age costs; None where nothing is known of it."""
    if not found.freshness:
        return None
    placed = [
        _Placed(
            float(one.weeks), one.lost, "front", "", f"{one.weeks} weeks old: {_spell(one.lost)}"
        )
        for one in found.freshness
    ]
    ends = (f"{found.freshness[0].weeks} weeks old", f"{found.freshness[-1].weeks} weeks old")
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
    return Points(points, line, f"{low:.4g}", f"{high:.4g}", *ends)


def _spell(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.estimate:.4f}"
    return f"{one.estimate:.4f} ({one.low:.4f} to {one.high:.4f})"
