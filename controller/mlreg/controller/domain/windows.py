"""Stretches of business time: half-open intervals, and the fixed grid of windows (UTC).

What always holds: `start < end`, both aware; a window of width w starts at a whole multiple of w
since 1970-01-01 UTC, so two parties that speak of "the window of yesterday" mean the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The moments t with `start <= t < end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            message = "times need a zone, as 2013-07-01T00:00:00Z"
            raise ValueError(message)
        if self.start >= self.end:
            message = f"the range ends ({self.end}) before it begins ({self.start})"
            raise ValueError(message)

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share a moment."""
        return self.start < other.end and other.start < self.end

    def holds(self, moment: datetime) -> bool:
        """Whether the moment lies inside."""
        return self.start <= moment < self.end


@lru_cache(maxsize=1_024)
def window_of(moment: datetime, width: timedelta) -> Interval:
    """Return the window of the grid that holds the moment."""
    start = ORIGIN + (moment - ORIGIN) // width * width
    return Interval(start, start + width)


def closed_windows(after: datetime, until: datetime, width: timedelta) -> Iterator[Interval]:
    """Yield, in order, the grid's windows that start at or after `after` and end by `until`."""
    window = window_of(after, width)
    if window.start < after:
        window = Interval(window.end, window.end + width)
    while window.end <= until:
        yield window
        window = Interval(window.end, window.end + width)


def merge_intervals(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the same moments as disjoint intervals in order; touching ones become one."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return tuple(merged)
