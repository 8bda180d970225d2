"""Fault 15: due times in every zone there is, for three years, against brute force.

Both edges of daylight saving time, 29 February, clocks that change at midnight or by half an hour:
a schedule at a fixed time is due once on each local day, at the first instant at which clocks show
it (or as much later as they jump over it); one of every hour follows the real hours; due times
strictly increase, and the newest one before a moment is the one that the walk forwards found.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest

from mlreg.controller.domain.interval import last_multiple, next_multiple
from mlreg.controller.domain.schedule import newest_first, next_due, parse_cron

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
WALLS = [time(hour, minute) for hour in range(4) for minute in (0, 30)]
LEAP_DAY = date(2024, 2, 29)


def minutes_of(moment):
    return int(moment.timestamp()) // 60


class Clock:
    """What clocks on the walls of a zone show at every minute (naive, in minutes since 1970)."""

    def __init__(self, zone, start, end):
        self.first = minutes_of(start)
        offsets = []
        for hour in range((end - start) // HOUR):
            moment = start + hour * HOUR
            now, then = offset_at(zone, moment), offset_at(zone, moment + 59 * MINUTE)
            if now == then:
                offsets.append(np.full(60, now))
            else:
                offsets.append([offset_at(zone, moment + n * MINUTE) for n in range(60)])
        self.shown = np.arange(self.first, self.first + 60 * len(offsets)) + np.concatenate(offsets)

    def due(self, day, wall):
        """Return the minute at which the clocks first show a time, or jumped over it and more."""
        wanted = minutes_of(datetime.combine(day, wall, tzinfo=UTC))
        low = max(wanted - self.first - 2 * 1_440, 0)  # no zone is further from UTC than that
        shown, first = self.shown[low : low + 4 * 1_440], self.first + low
        at = np.flatnonzero(shown == wanted)
        if len(at):
            return first + at[0]
        after = np.flatnonzero(shown > wanted)[0]
        return first + after - 1 + (wanted - shown[after - 1])

    def at_minute(self, minute):
        """Return every minute at which the clocks show this minute of an hour."""
        return self.first + np.flatnonzero(self.shown % 60 == minute)


def offset_at(zone, moment):
    return int(moment.astimezone(zone).utcoffset().total_seconds()) // 60


def walk(cron, zone, after, until):
    found, due = [], after
    while (due := next_due.__wrapped__(cron, zone, due)) <= until:
        found.append(minutes_of(due))
    return found


def zones_by_their_clocks():
    """One name for all zones that show the same time on every noon of the three years."""
    noons = [START + DAY / 2 + number * DAY for number in range((END - START) // DAY)]
    kinds = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        kinds.setdefault(tuple(offset_at(zone, noon) for noon in noons), name)
    return kinds


def edges(offsets):
    """Return the days around which clocks change, and the leap day."""
    days = [START.date() + number * DAY for number in range(len(offsets))]
    changes = [day for day, (old, new) in zip(days, pairwise(offsets), strict=False) if old != new]
    return [*changes, LEAP_DAY]


def check_around(zone, day, name):
    start = datetime.combine(day, time(), tzinfo=UTC) - 2 * DAY
    end = start + 5 * DAY
    clock = Clock(zone, start, end)
    for wall in WALLS:
        cron = parse_cron(f"{wall.minute} {wall.hour} * * *")
        days = [day + number * DAY for number in (-1, 0, 1)]
        wanted = [clock.due(one, wall) for one in days]
        first = datetime.fromtimestamp(60 * int(wanted[0] - 1), UTC)
        found = walk(cron, zone, first, datetime.fromtimestamp(60 * int(wanted[-1]), UTC))
        assert found == wanted, (name, day, wall)
        last = datetime.fromtimestamp(60 * int(wanted[-1]), UTC)
        backwards = [minutes_of(one) for one in newest_first(cron, zone, first, last)]
        assert backwards == wanted[::-1], (name, day, wall)


def test_around_every_change_of_every_clock():
    kinds = zones_by_their_clocks()
    assert len(kinds) > 40
    for offsets, name in kinds.items():
        zone = ZoneInfo(name)
        seen = edges(offsets)
        for day in seen[:2] + seen[-1:]:
            check_around(zone, day, name)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Europe/Berlin", date(2024, 3, 31)),
        ("Australia/Lord_Howe", date(2024, 4, 7)),
        ("America/Havana", date(2024, 11, 3)),
    ],
)
def test_every_hour_follows_the_real_hours(name, day):
    zone, cron = ZoneInfo(name), parse_cron("30 * * * *")
    start = datetime.combine(day, time(), tzinfo=UTC) - DAY
    end = start + 3 * DAY
    wanted = Clock(zone, start, end + HOUR).at_minute(30).tolist()
    found = walk(cron, zone, start - MINUTE, end)
    assert found == [one for one in wanted if one <= minutes_of(end)]
    assert len(found) in {71, 72, 73}


def test_intervals_are_real_hours_whatever_clocks_show():
    every = 6 * HOUR
    due, found = START - MINUTE, []
    while (due := next_multiple(every, due)) < END:
        found.append(due)
    assert {later - earlier for earlier, later in pairwise(found)} == {every}
    assert found[0] == START
    for moment in found[::97]:
        assert last_multiple(every, START - HOUR, moment) == moment
        assert last_multiple(every, START - HOUR, moment + HOUR) == moment
        assert last_multiple(every, moment, moment + HOUR) is None


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_every_zone_every_day_of_three_years():
    for number, name in enumerate(sorted(available_timezones())):
        zone, wall = ZoneInfo(name), WALLS[number % len(WALLS)]
        cron = parse_cron(f"{wall.minute} {wall.hour} * * *")
        clock = Clock(zone, START - DAY, END + 2 * DAY)
        days = [START.date() + number * DAY for number in range((END - START) // DAY)]
        wanted = [int(clock.due(day, wall)) for day in days]
        first = datetime.fromtimestamp(60 * (wanted[0] - 1), UTC)
        last = datetime.fromtimestamp(60 * wanted[-1], UTC)
        assert walk(cron, zone, first, last) == wanted, name
        assert [minutes_of(one) for one in newest_first(cron, zone, first, last)] == wanted[::-1]
        assert next(newest_first(cron, zone, first, last)) == last


@pytest.mark.nightly
def test_every_hour_in_every_zone():
    for offsets, name in zones_by_their_clocks().items():
        zone, cron = ZoneInfo(name), parse_cron("15,45 * * * *")
        for day in edges(offsets):
            start = datetime.combine(day, time(), tzinfo=UTC) - DAY
            end = start + 3 * DAY
            clock = Clock(zone, start, end + HOUR)
            wanted = np.sort(np.concatenate([clock.at_minute(15), clock.at_minute(45)]))
            found = walk(cron, zone, start - MINUTE, end)
            assert found == [one for one in wanted.tolist() if one <= minutes_of(end)], name
