"""Outages, hour by hour."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.outage import HourShares, OutageRule, Suspicion, step
from mlreg.controller.domain.windows import HOUR

START = datetime(2013, 7, 10, tzinfo=UTC)
RULE = OutageRule()
REFERENCE = {"temp": 0.01, "rain": 0.94}


def fold(hours, reference=REFERENCE, rule=RULE):
    """Return the outages told, as [start hour, end hour, ended], of (rows, temp, rain) by hour."""
    suspicion, told = None, []
    for number, (rows, temp, rain) in enumerate(hours):
        hour = HourShares(START + number * HOUR, rows, {"temp": temp, "rain": rain})
        result = step(suspicion, hour, reference, rule)
        if suspicion is not None:
            assert Suspicion.from_json(suspicion.to_json()) == suspicion
        suspicion = result.suspicion
        if result.begun:
            told.append([suspicion.start, suspicion.end, False])
        if result.grown:
            told[-1][1] = suspicion.end
        if result.ended is not None:
            told[-1][2] = True
    return [((start - START) // HOUR, (end - START) // HOUR, ended) for start, end, ended in told]


GOOD, BAD, NIGHT = (50, 0.02, 0.95), (50, 1.0, 1.0), (0, 0.0, 0.0)


def test_a_feed_that_returns_defaults_is_one_outage():
    assert fold([GOOD, BAD, BAD, BAD, BAD, GOOD, GOOD]) == [(1, 5, True)]


def test_an_outage_goes_on_while_it_lasts():
    assert fold([GOOD, BAD, BAD, BAD]) == [(1, 4, False)]


def test_nights_without_rows_neither_end_nor_begin_one():
    assert fold([BAD, BAD, NIGHT, NIGHT, BAD, BAD, GOOD]) == [(0, 6, True)]
    assert fold([NIGHT] * 30) == []


def test_two_bad_hours_are_no_outage():
    assert fold([BAD, BAD, GOOD, BAD, BAD, GOOD]) == []


def test_few_rows_are_no_outage():
    assert fold([(12, 1.0, 1.0)] * 5) == []


def test_rain_that_is_zero_on_most_days_says_nothing():
    assert fold([(50, 0.02, 1.0)] * 24) == []


def test_a_feature_that_is_often_at_its_default_must_be_well_above_that():
    assert fold([(50, 0.65, 0.9)] * 5, {"temp": 0.4, "rain": 0.94}) == []
    assert fold([(50, 0.75, 0.9)] * 5, {"temp": 0.4, "rain": 0.94}) == [(0, 5, False)]


def test_two_outages():
    assert fold([BAD] * 3 + [GOOD] + [BAD] * 3 + [GOOD]) == [(0, 3, True), (4, 7, True)]


@given(st.lists(st.sampled_from([GOOD, BAD, NIGHT]), max_size=60))
def test_outages_are_exactly_the_long_stretches_of_bad_hours(hours):
    expected, start, end, bad = [], None, None, 0
    for number, hour in enumerate([*hours, None]):
        if hour == BAD:
            start, end, bad = number if start is None else start, number + 1, bad + 1
        elif hour != NIGHT:
            if bad >= RULE.min_hours:
                expected.append((start, end, hour is not None))
            start, bad = None, 0
    assert fold(hours) == expected


def test_the_rule_can_be_made_stricter():
    assert fold([BAD] * 5, rule=replace(RULE, min_hours=6)) == []
