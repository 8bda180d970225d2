"""Verdicts: rules, and the false-alarm rate on simulated streams."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.drift_alarms import DAILY, HOURLY, YOUNG, detections, false_alarms, lasting
from mlreg.controller.domain.metrics import greater_is_better
from mlreg.controller.domain.season import Judgement, Past, past_starts, verdicts
from mlreg.controller.domain.usual_performance import performance_rules

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RULE = Judgement(least=0.01)


def judge(value, past, *, start=MONDAY, width=DAY, rule=RULE):
    """Judge one value against the values before it, oldest first."""
    starts = past_starts(start, width)[-len(past) :] if len(past) else []
    values = np.array(past, dtype=float).reshape(-1, 1)
    return verdicts(np.array([value]), (start, width), Past(starts, values), [rule])[0]


def weeks(number, *, sunday=0.5, seed=0):
    """Return values before a Monday; Sundays lie higher."""
    noise = np.random.default_rng(seed).normal(0.1, 0.005, 7 * number)
    noise[6::7] += sunday  # the day before the Monday is a Sunday
    return noise


def test_too_little_past_is_no_verdict():
    assert judge(9.0, []) is None
    assert judge(9.0, weeks(2)[:13]) is None
    assert judge(9.0, weeks(2)) == "unusual"


def test_a_sunday_is_compared_with_sundays():
    sunday, before = MONDAY - DAY, weeks(8)[:-1]
    assert judge(0.6, before, start=sunday) == "normal"
    assert judge(0.1, before, start=sunday) == "normal"  # as on any other day: only too high counts
    assert judge(0.8, before, start=sunday) == "unusual"
    assert judge(0.6, weeks(8)) == "unusual"


def test_with_few_weeks_only_a_record_is_unusual():
    sunday, before = MONDAY - DAY, weeks(3)[:-1]
    assert judge(0.55, before, start=sunday) == "normal"
    assert judge(1.2, before, start=sunday) == "unusual"


def test_a_record_is_one_only_by_three_spreads():
    sunday, before = MONDAY - DAY, weeks(3)[:-1]
    assert judge(max(before) + 0.005, before, start=sunday) == "normal"
    assert judge(max(before) + 0.05, before, start=sunday) == "unusual"


@pytest.mark.parametrize("rule", [RULE, Judgement(least=0.01, both_sides=True)])
@pytest.mark.parametrize("fault", [1.0, -1.0])
def test_a_fault_that_lasts_is_unusual_on_each_of_its_first_days(fault, rule):
    before = list(weeks(2, sunday=0))
    for number in range(7):
        said = judge(fault, before, start=MONDAY + number * DAY, rule=rule)
        assert said == ("unusual" if fault > 0 or rule.both_sides else "normal")
        before.append(fault)


def test_a_fault_that_comes_again_is_unusual_again():
    before = [*weeks(2, sunday=0), 1.0, 0.1, 0.1]
    assert judge(1.0, before) == "unusual"
    assert judge(0.1, [*before, 1.0]) == "normal"


@pytest.mark.parametrize(("value", "verdict"), [(0.105, "normal"), (0.12, "unusual")])
def test_a_difference_too_small_to_matter_is_never_unusual(value, verdict):
    assert judge(value, [0.1] * 28) == verdict


def test_both_sides_count_where_the_rule_says_so():
    assert judge(0.0, weeks(8, sunday=0)) == "normal"
    both = Judgement(least=0.01, both_sides=True)
    assert judge(0.0, weeks(8, sunday=0), rule=both) == "unusual"
    share = Judgement(least=0.0, relative=0.5, both_sides=True)
    assert judge(0.06, weeks(8, sunday=0), rule=share) == "normal"
    assert judge(0.01, weeks(8, sunday=0), rule=share) == "unusual"


def test_a_value_that_is_not_there_has_no_verdict_and_is_no_past():
    past = weeks(8, sunday=0)
    past[:40] = np.nan
    assert judge(np.nan, past) is None
    assert judge(0.2, past) == "unusual"  # sixteen days are left
    past[:50] = np.nan
    assert judge(0.2, past) is None


def test_a_drifted_week_in_the_past_hides_nothing():
    past = weeks(8, sunday=0)
    past[-14:-7] = 2.0
    assert judge(2.0, past) == "unusual"
    assert judge(0.11, past) == "normal"


def test_hours_are_compared_with_the_same_hour_of_other_days():
    starts = past_starts(MONDAY + 5 * HOUR, HOUR)
    assert {one.hour for one in starts} == {5}
    assert (len(starts), starts[-1]) == (56, MONDAY + 5 * HOUR - DAY)
    assert len(past_starts(MONDAY, 7 * DAY)) == 26


@pytest.mark.parametrize("season", ["stationary", "both seasons"])
def test_false_alarms_stay_below_half_a_percent_of_feature_windows(season):
    """6 streams of 42 days of 8 features: 2,016 feature-windows, where nothing drifts."""
    found = false_alarms(DAILY, season, range(6))
    assert found["verdict"][0] <= 0.005
    if season != "stationary":
        assert found["psi"][0] > 0.1  # a fixed threshold tells the weekday
        assert found["ks"][0] > 0.9


def test_drift_is_told_within_days():
    share, delay = detections(DAILY, "both seasons", "abrupt", range(4))["verdict"]
    assert share == 1.0
    assert delay <= 7


@pytest.mark.nightly
def test_false_alarms_of_hours_stay_below_half_a_percent():
    for season in ("stationary", "both seasons"):
        assert false_alarms(HOURLY, season, range(4))["verdict"][0] <= 0.005


def test_a_young_stream_tells_few_weekends_and_all_of_a_fault_that_lasts():
    quiet = false_alarms(YOUNG[0], "day of week", range(6))["verdict"][0]
    assert quiet <= 0.01
    assert min(lasting(YOUNG[0], "day of week", range(6))) >= 0.95


def test_what_may_not_fall_may_rise():
    falling = Judgement(least=0.01, falling=True)
    assert judge(0.0, weeks(8, sunday=0), rule=falling) == "unusual"
    assert judge(0.5, weeks(8, sunday=0), rule=falling) == "normal"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_only_a_worse_metric_is_unusual(task):
    for monitor, rule in performance_rules(task).items():
        worse, better = ("unusual", "normal")
        higher = judge(3.0, [1.0] * 28, rule=rule)
        lower = judge(0.2, [1.0] * 28, rule=rule)
        name = monitor.removeprefix("skill_")
        if name == "bias":
            assert {higher, lower} == {worse}
        elif greater_is_better(name) or monitor != name:
            assert (higher, lower) == (better, worse), monitor
        else:
            assert (higher, lower) == (worse, better), monitor
