"""Intervals and the grid of windows."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.windows import (
    DAY,
    HOUR,
    Interval,
    closed_windows,
    merge_intervals,
    window_of,
)

START = datetime(2013, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 60 * 24 * 20).map(lambda minutes: START + timedelta(minutes=minutes))
WIDTHS = st.sampled_from([HOUR, 6 * HOUR, DAY, 7 * DAY])
INTERVALS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(1, 20)).map(
        lambda pair: Interval(START + pair[0] * HOUR, START + sum(pair) * HOUR)
    )
)


@given(MINUTES, WIDTHS)
def test_a_window_holds_its_moment_and_lies_on_the_grid(moment, width):
    window = window_of(moment, width)
    assert window.holds(moment)
    assert window.length == width
    assert window_of(window.start, width) == window


@given(MINUTES, MINUTES, WIDTHS)
def test_closed_windows_follow_each_other_without_gaps(after, until, width):
    windows = list(closed_windows(after, until, width))
    assert all(after <= one.start and one.end <= until for one in windows)
    for one, following in itertools.pairwise(windows):
        assert one.end == following.start
    if not windows:
        assert until - after < 2 * width


@given(INTERVALS)
def test_merging_keeps_every_hour_and_no_other(intervals):
    merged = merge_intervals(intervals)
    for hour in (START + number * HOUR for number in range(125)):
        assert any(one.holds(hour) for one in merged) == any(one.holds(hour) for one in intervals)
    assert all(one.end < two.start for one, two in itertools.pairwise(merged))


def test_an_interval_needs_order_and_zones():
    with pytest.raises(ValueError, match="before it begins"):
        Interval(START, START)
    with pytest.raises(ValueError, match="zone"):
        Interval(START.replace(tzinfo=None), START)
