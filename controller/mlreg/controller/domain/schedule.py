"""Cron schedules in a time zone: `0 3 * * 1` in Europe/Berlin, next due time in UTC.

What always holds: due times strictly increase; a schedule at fixed hours fires once for each time
on each matching local day, whatever the clocks do (a time that is skipped fires as much later as
the clocks jump, PEP 495; a repeated one fires the first time only); a schedule of every hour (`*`)
follows the real hours instead. Day of month and day of week, when both are given, mean either,
as in Vixie cron.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_NAMES = {
    "month": {key: at for at, name in enumerate(_MONTHS, 1) for key in (name, name[:3])},
    "weekday": {key: at for at, name in enumerate(_DAYS) for key in (name, name[:3])},
}
_PART = re.compile(r"(?:\*|(?P<first>[a-z0-9]+)(?:-(?P<last>[a-z0-9]+))?)(?:/(?P<step>[0-9]+))?")
FIELDS = r"^\s*\S+(\s+\S+){4}\s*$"
"""What five fields look like to an editor."""
_HORIZON_DAYS = 366 * 40 + 2
"""From a 29 February to the next one on the same weekday, across a century that is no leap year."""
_CYCLE_DAYS = 28 * 366
"""Within so many days (of this and the next century) every date falls on every weekday."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The five fields as sets of numbers (weekday 0 is Sunday)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    either_day: bool

    def matches(self, day: date) -> bool:
        """Whether the schedule fires on that local day."""
        if day.month not in self.months:
            return False
        by_date = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return by_date or by_weekday if self.either_day else by_date and by_weekday

    def times(self) -> Iterator[time]:
        """Yield the wall-clock times of a matching day."""
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield time(hour, minute)


@lru_cache(maxsize=4_096)
def parse_cron(text: str) -> Cron:
    """Return the schedule that five fields spell.

    Raises:
        ValueError: there are not five fields, one is malformed or out of bounds, or no day matches.
    """
    words = text.lower().split()
    if len(words) != len(_FIELDS):
        message = "a schedule has five fields: minute hour day month weekday"
        raise ValueError(message)
    parsed = [_parse_field(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = parsed
    cron = Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(number % 7 for number in weekdays),
        every_hour=words[1].startswith("*"),
        either_day=not words[2].startswith("*") and not words[4].startswith("*"),
    )
    if words[4].startswith("*") and not any(map(cron.matches, _days())):
        message = f"no day ever matches {text!r}"
        raise ValueError(message)
    return cron


def _days() -> Iterator[date]:
    """Yield every date there is, on every weekday."""
    return (date(2024, 1, 1) + timedelta(days=day) for day in range(_CYCLE_DAYS))


def _parse_field(word: str, name: str, low: int, high: int) -> frozenset[int]:
    parts = word.split(",")
    return frozenset(chain.from_iterable(_parse_part(part, name, low, high) for part in parts))


def _parse_part(part: str, name: str, low: int, high: int) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        message = f"{part!r} is no {name}"
        raise ValueError(message)
    first, last, step = found["first"], found["last"], found["step"]
    if first is None:
        start, end = low, high - (name == "weekday")
    else:
        start = _parse_number(first, name, low, high)
        end = _parse_number(last, name, low, high) if last else (high if step else start)
    if start > end or step == "0":
        message = f"{part!r} is no range of {name}s"
        raise ValueError(message)
    return range(start, end + 1, int(step or 1))


def _parse_number(word: str, name: str, low: int, high: int) -> int:
    number = _NAMES.get(name, {}).get(word)
    if number is None and word.isdigit():
        number = int(word)
    if number is None or not low <= number <= high:
        message = f"{word!r} is no {name} ({low} to {high})"
        raise ValueError(message)
    return number


@lru_cache(maxsize=16_384)
def next_due(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first due time strictly after a moment, aware and in UTC.

    Raises:
        ValueError: nothing is due in the next forty years.
    """
    first_day = after.astimezone(zone).date() - timedelta(days=1)
    found: datetime | None = None
    for offset in range(_HORIZON_DAYS):
        day = first_day + timedelta(days=offset)
        due = _due_on(cron, zone, day)
        first = due[(place := bisect_right(due, after)) : place + 1]
        if found is not None:  # the next day is looked at too: clocks can swap neighbours
            return min([found, *first])
        found = first[0] if first else None
    message = "the schedule is never due"
    raise ValueError(message)


def newest_first(
    cron: Cron, zone: ZoneInfo, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the due times in (after, until], the newest first."""
    first = next_due(cron, zone, after)
    if next_due(cron, zone, first) > until:  # mostly one is due or none: that is known already
        yield from (first,) if first <= until else ()
        return
    day = until.astimezone(zone).date() + timedelta(days=1)
    oldest = after.astimezone(zone).date() - timedelta(days=1)
    later: set[datetime] = set()
    while day >= oldest:
        due = _due_on(cron, zone, day)
        moments = set(due[bisect_right(due, after) : bisect_right(due, until)])
        border = max(moments, default=None)
        sure = {one for one in later if border is None or one > border}
        yield from sorted(sure, reverse=True)  # a day and the next may swap neighbours, no more
        later = later - sure | moments
        day -= timedelta(days=1)
    yield from sorted(later, reverse=True)


@lru_cache(maxsize=256)
def _due_on(cron: Cron, zone: ZoneInfo, day: date) -> tuple[datetime, ...]:
    """Return the due times of a local day, ascending; of a schedule of minutes they are 1,440."""
    return tuple(sorted(_moments_of(cron, zone, day))) if cron.matches(day) else ()


def _moments_of(cron: Cron, zone: ZoneInfo, day: date) -> Iterator[datetime]:
    for wall in cron.times():
        local = datetime.combine(day, wall, tzinfo=zone)
        if not cron.every_hour:
            yield local.astimezone(UTC)
            continue
        for fold in (0, 1):
            moment = local.replace(fold=fold).astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                yield moment
