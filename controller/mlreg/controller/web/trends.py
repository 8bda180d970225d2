"""One monitor over time: a line with its band of confidence, and marks for what is not final.

A filled point is final; a hollow one is immature (labels are awaited); a diamond was estimated
before any label; a ring is unusual; a shaded stretch was an outage. Whiskers and the band are 95 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.windows import Interval

WIDTH, HEIGHT = 640, 224
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 18, 26
PADDING = 0.06
LEAST_TOP = 0.01
"""The least end of a scale that begins at zero."""
Kind = Literal["final", "immature", "estimate"]
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """One reading: where it stands, what it is, what it says; whiskers where it has an interval."""

    x: float
    y: float
    kind: Kind
    unusual: bool
    said: str
    whiskers: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A moment at which something changed, such as the champion."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Trend:
    """The whole drawing, and the same as a table.

    Attributes:
        lines, bands: points of neighbouring final readings.
        down: stretches without a value because of an outage, as (x, width).
        flags: (x, text) of what changed.
        low, high: what stands at the ends of the scale.
        table: window, value, interval, state of each reading.
    """

    title: str
    last: str
    lines: Sequence[str]
    bands: Sequence[str]
    marks: Sequence[Mark]
    down: Sequence[tuple[float, float]]
    flags: Sequence[tuple[float, str]]
    low: str
    high: str
    first: str
    end: str
    table: Sequence[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True)
class Scale:
    """From moments and values to places."""

    within: Interval
    low: float
    high: float

    def across(self, moment: datetime) -> float:
        """Return the x of a moment."""
        share = (moment - self.within.start) / self.within.length
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        """Return the y of a value."""
        room = self.high - self.low
        share = 0.5 if room <= 0 else (value - self.low) / room
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def trend_of(
    title: str,
    readings: Iterable[WindowReading],
    within: Interval,
    flags: Iterable[Flag] = (),
    *,
    from_zero: bool = False,
) -> Trend | None:
    """Place readings of one monitor, oldest first; None where none has a value."""
    found = list(readings)
    valued = [one for one in found if one.value is not None]
    if not valued:
        return None
    scale = _scale(valued, within, from_zero=from_zero)
    runs = [list(run) for is_final, run in groupby(found, _is_final) if is_final]
    return Trend(
        title=title,
        last=f"{valued[-1].value:.4g}",
        lines=[_line(run, scale) for run in runs if len(run) > 1],
        bands=[_band(part, scale) for run in runs for part in _banded(run)],
        marks=[_mark(one, scale) for one in valued],
        down=[_stretch(one, scale) for one in found if one.state == "outage"],
        flags=[(scale.across(flag.at), flag.text) for flag in flags if within.holds(flag.at)],
        low=f"{scale.low:.4g}",
        high=f"{scale.high:.4g}",
        first=f"{within.start:%Y-%m-%d}",
        end=f"{within.end:%Y-%m-%d}",
        table=[_row(one) for one in found],
    )


def _scale(valued: Sequence[WindowReading], within: Interval, *, from_zero: bool) -> Scale:
    ends = [end for one in valued for end in (one.value, one.low, one.high) if end is not None]
    low, high = min([*ends, 0.0] if from_zero else ends), max(ends)
    if from_zero:
        high = max(high, LEAST_TOP)
    room = (high - low) * PADDING
    if from_zero and low == 0.0:  # counts and shares: no more rows than came, no share above 1
        return Scale(within, low, high)
    return Scale(within, low - room, high + room)


def _is_final(one: WindowReading) -> bool:
    return one.state == "final" and one.value is not None


def _middle(one: WindowReading) -> datetime:
    return one.start + (one.end - one.start) / 2


def _at(moment: datetime, value: float | None, scale: Scale) -> str:
    return f"{scale.across(moment):.1f},{scale.up(value or 0.0):.1f}"


def _line(run: Sequence[WindowReading], scale: Scale) -> str:
    return " ".join(_at(_middle(one), one.value, scale) for one in run)


def _band(run: Sequence[WindowReading], scale: Scale) -> str:
    """Return the outline of a band; of a single window it is as wide as that."""
    first, last = run[0], run[-1]
    moments = [first.start, *(_middle(one) for one in run[1:-1]), last.end]
    ends = [first, *run[1:-1], last]
    upper = [_at(at, one.high, scale) for at, one in zip(moments, ends, strict=True)]
    lower = [_at(at, one.low, scale) for at, one in zip(moments, ends, strict=True)]
    return " ".join([*upper, *reversed(lower)])


def _banded(run: Sequence[WindowReading]) -> list[list[WindowReading]]:
    """Return the neighbours in a run that have an interval."""
    groups = groupby(run, lambda one: one.low is not None)
    return [list(part) for has_interval, part in groups if has_interval]


def _stretch(one: WindowReading, scale: Scale) -> tuple[float, float]:
    """Return where a window begins, and how wide it is."""
    start = scale.across(one.start)
    return start, scale.across(one.end) - start


def _mark(one: WindowReading, scale: Scale) -> Mark:
    kind: Kind = one.state if one.state in {"immature", "estimate"} else "final"
    whiskers = None
    if kind != "final" and one.low is not None and one.high is not None:
        whiskers = (scale.up(one.high), scale.up(one.low))
    return Mark(
        x=scale.across(_middle(one)),
        y=scale.up(one.value or 0.0),
        kind=kind,
        unusual=one.verdict == "unusual",
        said=", ".join(_row(one)),
        whiskers=whiskers,
    )


def _row(one: WindowReading) -> tuple[str, str, str, str]:
    value = "–" if one.value is None else f"{one.value:.5g}"  # noqa: RUF001 - a dash stands for nothing
    bounded = one.low is not None and one.high is not None
    interval = f"{one.low:.4g} to {one.high:.4g}" if bounded else ""
    state = f"{one.state}, unusual" if one.verdict == "unusual" else one.state
    return f"{one.start:%Y-%m-%d %H:%M}", value, interval, f"{state}, {one.rows} rows"
