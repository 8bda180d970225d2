"""The interval against scipy, and its error rates in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlreg.controller.domain.bootstrap import (
    MIN_DAYS,
    day_or_hour_blocks,
    draw_blocks,
    paired_interval,
)
from mlreg.controller.domain.metrics import MeanLoss, Rows, measure

DAY = np.timedelta64(1, "D")
START = np.datetime64("2013-03-01T00:00", "us")


def losses(values):
    """A mean loss with one row in each block."""
    return MeanLoss(np.asarray(values, dtype=float), np.ones(len(values)))


def interval_of(values, rng, *, draws=1000, confidence=0.95):
    counts = draw_blocks(len(values), draws, rng)
    zero = losses(np.zeros(len(values)))
    return paired_interval(losses(values), zero, counts, blocks=len(values), confidence=confidence)


def test_on_equal_blocks_it_is_the_t_interval_of_scipy():
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    found = interval_of(values, rng, draws=200_000)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.90)
    assert found.estimate == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(stats.sem(values), rel=0.01)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=0.01)


@pytest.mark.parametrize("blocks", [7, 14, 28])
@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_each_bound_is_wrong_about_as_often_as_it_says(blocks, shape):
    """1,000 simulated trials: a nominal 5 % must not be above 7.5 % (its own error is 0.7 %)."""
    rng = np.random.default_rng(blocks)
    trials = 1000
    draw = {"normal": rng.standard_normal, "heavy": lambda size: rng.standard_t(4, size)}[shape]
    found = [interval_of(draw(blocks), rng, draws=400) for _ in range(trials)]
    too_high = sum(one.lower > 0 for one in found) / trials
    too_low = sum(one.upper < 0 for one in found) / trials
    assert too_high < 0.075
    assert too_low < 0.075
    assert too_high + too_low > 0.05  # not needlessly wide either


def simulate(rng, *, days, per_day, day_effect, handicap):
    """Labels and two models' scores; the second is worse by `handicap` in noise.

    A day shifts all labels of the day, and which model it suits.
    """
    size = days * per_day
    blocks = np.repeat(np.arange(days), per_day)
    truth = rng.normal(size=size) - 1 + rng.normal(0, day_effect, days)[blocks]
    labels = (rng.random(size) < 1 / (1 + np.exp(-truth))).astype(float)
    suits = rng.normal(0, day_effect / 2, days)[blocks]
    first = truth + rng.normal(size=size) + suits * rng.normal(size=size)
    second = truth + rng.normal(size=size) * (1 + handicap) - suits * rng.normal(size=size)
    rows = Rows(labels, np.ones(size), blocks, days)
    return rows, first, second


def test_the_auc_interval_covers_the_true_gain_with_day_effects():
    """300 trials of 14 days: both bounds together miss at most 10 % nominal + 5 %."""
    rng = np.random.default_rng(5)
    setting = {"days": 14, "per_day": 150, "day_effect": 0.5, "handicap": 0.3}
    rows, first, second = simulate(rng, **{**setting, "days": 400})
    once = np.ones((1, 400))
    gain = measure("auc", rows, first).values(once) - measure("auc", rows, second).values(once)
    truth = float(gain[0])
    missed = 0
    for _ in range(300):
        rows, first, second = simulate(rng, **setting)
        counts = draw_blocks(14, 300, rng)
        one = paired_interval(
            measure("auc", rows, first),
            measure("auc", rows, second),
            counts,
            blocks=14,
            confidence=0.95,
        )
        missed += not one.lower < truth < one.upper
    assert missed / 300 < 0.15


def test_rows_of_a_day_are_no_independent_evidence():
    """The reason for blocks: an interval by rows misses far more often than it says."""
    rng = np.random.default_rng(6)
    by_row = by_day = 0
    for _ in range(200):
        effect = np.repeat(rng.normal(0, 0.3, 14), 100)
        difference = effect + rng.normal(size=1400)
        by_row += abs(stats.ttest_1samp(difference, 0).statistic) > 1.645
        by_day += interval_of(difference.reshape(14, 100).mean(axis=1), rng, draws=200).lower > 0
    assert by_row / 200 > 0.3
    assert by_day / 200 < 0.1


def test_blocks_are_days_and_hours_where_days_are_few():
    days = START + np.arange(10) * DAY
    assert (day_or_hour_blocks(days).unit, day_or_hour_blocks(days).count) == ("day", 10)
    assert day_or_hour_blocks(days[: MIN_DAYS - 1]).unit == "hour"
    assert not day_or_hour_blocks(days[: MIN_DAYS - 1]).is_enough
    hours = START + np.arange(72) * np.timedelta64(1, "h")
    assert day_or_hour_blocks(hours).is_enough
    assert not day_or_hour_blocks(hours[:0]).is_enough


def test_no_interval_from_one_block_or_where_draws_are_undefined():
    rng = np.random.default_rng(7)
    assert interval_of(np.array([1.0]), rng) is None
    labels = np.zeros(20)
    labels[:2] = 1  # both positives in block 0: a third of the draws have none
    rows = Rows(labels, np.ones(20), np.repeat(np.arange(10), 2), 10)
    metric = measure("auc", rows, rng.random(20))
    counts = draw_blocks(10, 500, rng)
    assert paired_interval(metric, metric, counts, blocks=10, confidence=0.95) is None


def test_the_same_seed_draws_the_same_blocks():
    first, second = (draw_blocks(14, 50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first.sum(axis=1) == 14).all()
