"""Parity: when two numbers differ, how sure a share is, what a feature's skew says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mlreg.controller.domain.parity import (
    Column,
    column_differs,
    compare_feature,
    differs,
    distribution_of,
    largest_difference,
    score_differences,
    score_effect,
    scores_differ,
)
from mlreg.controller.domain.shares import Share, wilson

NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 1.0 + 1e-9]))


@given(st.integers(0, 300), st.integers(1, 300))
def test_the_interval_of_a_share_is_scipys(count, rows):
    count = min(count, rows)
    expected = binomtest(count, rows).proportion_ci(0.95, method="wilson")
    assert wilson(count, rows) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_share_of_nothing_says_nothing():
    share = Share.of(np.zeros(0, dtype=bool))
    assert (share.rows, share.share, share.low, share.high) == (0, 0.0, 0.0, 1.0)
    assert not share.is_above(0.0)


def test_one_row_in_a_hundred_is_not_surely_above_one_in_a_thousand_by_luck():
    """Of samples whose true share is the border itself, at most 5 % say it is surely above."""
    rng = np.random.default_rng(7)
    samples = rng.random((2_000, 2_000)) < 0.01
    assert np.mean([Share.of(one).is_above(0.01) for one in samples]) <= 0.05
    assert np.mean([Share.of(one).is_above(0.001) for one in samples]) == 1.0


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20), st.sampled_from([0.0, 1e-6, 0.5]))
def test_numbers_differ_as_a_loop_says(pairs, tolerance):
    online = np.array([first for first, _ in pairs])
    offline = np.array([second for _, second in pairs])

    def differ(first, second):
        if np.isnan(first) or np.isnan(second):
            return np.isnan(first) != np.isnan(second)
        if np.isinf(second):  # a tolerance of infinity takes everything but the other infinity
            return first != second and not (tolerance and np.isfinite(first))
        with np.errstate(over="ignore"):
            return not (first == second or abs(first - second) <= tolerance * max(1.0, abs(second)))

    found = differs(online, offline, tolerance).tolist()
    assert found == [bool(differ(*pair)) for pair in pairs]


def test_missing_equals_missing_only():
    known = np.array([True, True, False, False])
    other = np.array([True, False, True, False])
    for is_number in (True, False):
        first = Column(np.array([1, 1, 1, 1]), known, is_number)
        second = Column(np.array([1, 1, 1, 2]), other, is_number)
        assert column_differs(first, second, 0.0).tolist() == [False, True, True, False]


def test_what_the_skew_of_a_feature_says():
    every = np.ones(4, dtype=bool)
    online = Column(np.array([1.0, 2.0, 3.0, np.nan]), np.array([True, True, True, False]), True)
    offline = Column(np.array([1.0, 4.0, 3.0, 1.0]), every, True)
    differ = column_differs(online, offline, 1e-6)
    skew = compare_feature("x", (online, offline), differ)
    assert (skew.rows, skew.differ, skew.share) == (4, 2, 0.5)
    assert (skew.online_nulls, skew.offline_nulls) == (0.25, 0.0)
    assert skew.mean_difference == pytest.approx(-2 / 3)
    effect = score_effect(np.array([0.1, 0.5]), np.array([0.1, 0.7]), 1e-6)
    assert effect == {"rescored": 2, "score_differs": 0.5, "score_shift": pytest.approx(0.1)}
    assert score_effect(np.zeros(0), np.zeros(0), 1e-6) == {"rescored": 0}


def test_scores_without_a_finite_one_have_no_distribution():
    assert distribution_of(np.array([np.nan, np.inf])).p50 is None
    assert largest_difference(np.array([np.nan]), np.array([1.0])) is None
    found = distribution_of(np.arange(101.0))
    assert (found.mean, found.p50, found.p99) == (50.0, 50.0, 99.0)


def test_scores_of_classes_are_one_row():
    online = np.array([[0.2, 0.8], [0.5, 0.5], [0.1, 0.9]])
    offline = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    assert scores_differ(online, offline, 1e-6).tolist() == [False, True, True]
    assert score_differences(online, offline) == pytest.approx([0.0, 0.1, 0.8])
    assert largest_difference(online, offline) == pytest.approx(0.8)
    assert distribution_of(online).p50 == 0.8
    effect = score_effect(online, offline, 1e-6)
    assert effect["score_differs"] == pytest.approx(2 / 3)
    assert effect["score_shift"] == pytest.approx(0.3)
