"""Schedules against a brute-force walk over every minute, in many zones, across clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.schedule import next_due, parse_cron
from mlreg.controller.domain.zone import find_zone

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/Havana",  # back at midnight
    "Africa/Cairo",  # forward at midnight
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Chatham",
]


def due_times(text, zone, start, end):
    cron, found, moment = parse_cron(text), [], start
    while (moment := next_due(cron, zone, moment)) <= end:
        found.append(moment)
    return found


def first_instant(zone, day, wall):
    """Walk the minutes of a local day: the first at `wall`, or as much later as clocks jump."""
    wanted = datetime.combine(day, wall)
    moment = datetime.combine(day - timedelta(days=1), time(6), tzinfo=UTC)
    before = None
    while moment.date() <= day + timedelta(days=2):
        local = moment.astimezone(zone).replace(tzinfo=None)
        if local == wanted:
            return moment
        if local > wanted and before is not None and before < wanted:
            return moment - MINUTE + (wanted - before)
        before = local
        moment += MINUTE
    raise AssertionError


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("wall", [time(0, 0), time(0, 30), time(1, 30), time(2, 30), time(3)])
def test_fixed_times_agree_with_a_walk_over_the_minutes(zone, wall):
    place = ZoneInfo(zone)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    text = f"{wall.minute} {wall.hour} * * *"
    found = due_times(text, place, start, datetime(2025, 1, 1, tzinfo=UTC))
    offsets = {moment.astimezone(place).date(): moment for moment in found}
    assert len(offsets) == len(found)
    for day in days_of_change(place):
        assert first_instant(place, day, wall) in found


def days_of_change(zone):
    days, day = [], date(2024, 1, 3)
    while day < date(2024, 12, 29):
        noon = datetime.combine(day, time(12), tzinfo=zone)
        if noon.utcoffset() != (noon + timedelta(days=1)).utcoffset():
            days += [day, day + timedelta(days=1)]
        day += timedelta(days=1)
    return days


def every_zone():
    """All zones that keep different time on some day of the three years."""
    noons = [datetime(2024, 1, 1, 12, tzinfo=UTC) + number * DAY for number in range(1_096)]
    kinds = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        kinds.setdefault(tuple(noon.astimezone(zone).utcoffset() for noon in noons), name)
    return kinds.values()


@pytest.mark.slow
def test_each_local_day_exactly_once_in_every_zone():
    """Every zone there is, three years; the night hours, where clocks change."""
    start, end = datetime(2023, 12, 31, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)
    for number, name in enumerate(every_zone()):
        zone = ZoneInfo(name)
        found = due_times(f"30 {number % 4} * * *", zone, start, end)
        assert found == sorted(set(found)), name
        days = [moment.astimezone(zone).date() for moment in found]
        inside = [day for day in days if date(2024, 1, 1) <= day <= date(2026, 12, 31)]
        assert len(inside) == len(set(inside)) == 366 + 365 + 365, name


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - hypothesis wants naive ones
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/7 1-3 * * *", "15 0 1 * *", "0 3 * * mon"]),
)
@settings(max_examples=200, deadline=None)
def test_due_times_strictly_increase_and_match(zone, moment, text):
    place, cron = ZoneInfo(zone), parse_cron(text)
    after = moment.replace(tzinfo=UTC)
    due = next_due(cron, place, after)
    assert due > after
    assert next_due(cron, place, due) > due
    assert next_due(cron, place, due - MINUTE) == due
    assert cron.matches(due.astimezone(place).date())


def test_every_hour_follows_real_hours_when_clocks_change():
    zone = find_zone("Europe/Berlin")
    for day in (datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 10, 27, tzinfo=UTC)):
        found = due_times("0 * * * *", zone, day - MINUTE, day + timedelta(hours=8))
        assert [b - a for a, b in pairwise(found)] == [timedelta(hours=1)] * 8


def test_leap_day():
    found = next_due(parse_cron("0 0 29 2 *"), find_zone("UTC"), datetime(2024, 3, 1, tzinfo=UTC))
    assert found == datetime(2028, 2, 29, tzinfo=UTC)


def test_a_leap_day_on_a_weekday_is_found_however_far():
    start, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2070))
    sundays = due_times("0 0 29 2 */7", ZoneInfo("UTC"), start, end)
    assert [one.year for one in sundays] == [2032, 2060]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0", {0}), ("1,3-5", {1, 3, 4, 5}), ("*/20", {0, 20, 40}), ("50-59/4", {50, 54, 58})],
)
def test_fields(text, numbers):
    assert parse_cron(f"{text} * * * *").minutes == numbers


def test_names_and_both_sundays():
    assert parse_cron("0 0 * jan-mar sun").weekdays == parse_cron("0 0 * 1-3 7").weekdays == {0}
    assert parse_cron("0 0 * March Monday") == parse_cron("0 0 * 3 1")


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 30 2 *", "0 0 * 13 *",
     "a * * * *", "5-1 * * * *", "*/0 * * * *", "0 0 * * 8", "0 0 * * monkey",
     "*-3 * * * *", "\u0661 * * * *"],
)  # fmt: skip
def test_malformed_schedules_are_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_cron(text)


def test_unknown_zone():
    for name in ("Mars/Base", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="time zone"):
            find_zone(name)
