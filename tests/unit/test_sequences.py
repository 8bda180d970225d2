"""Confidence sequences: the formula, and false alarms under peeking after every block."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlreg.controller.domain.sequences import ConfidenceSequence

LOOKS = 90
TRIALS = 600


def test_with_many_blocks_it_is_the_papers_formula():
    """arXiv 2103.06476, Theorem 2.2, with t = 4000 (Student's t is the normal's there)."""
    values = np.random.default_rng(0).normal(1, 2, 4000)
    sequence = ConfidenceSequence(alpha=0.05, expected_blocks=1000)
    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 1000)
    t, r2 = 4000, rho**2
    reach = values.std(ddof=1) * math.sqrt(
        2 * (t * r2 + 1) / (t**2 * r2) * math.log(math.sqrt(t * r2 + 1) / 0.05)
    )
    bounds = sequence.bounds(values)
    assert bounds.lower[-1] == pytest.approx(values.mean() - reach, rel=1e-3)
    assert bounds.upper[-1] == pytest.approx(values.mean() + reach, rel=1e-3)


def test_running_means_and_bounds_are_those_of_each_prefix():
    values = np.random.default_rng(1).exponential(size=30)
    sequence = ConfidenceSequence()
    whole = sequence.bounds(values)
    for end in (5, 12, 30):
        part = sequence.bounds(values[:end])
        assert part.lower[-1] == pytest.approx(whole.lower[end - 1])
        assert part.mean[-1] == pytest.approx(values[:end].mean())
    assert np.isnan(whole.lower[: sequence.min_blocks - 1]).all()
    assert np.isfinite(whole.lower[sequence.min_blocks - 1 :]).all()


def false_alarms(draw, **options):
    sequence = ConfidenceSequence(**options)
    crossed = 0
    for _ in range(TRIALS):
        bounds = sequence.bounds(draw(LOOKS))
        crossed += np.nanmax(bounds.lower) > 0 or np.nanmin(bounds.upper) < 0
    return crossed / TRIALS


@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_peeking_after_every_block_raises_few_false_alarms(shape):
    rng = np.random.default_rng(2)
    draw = {"normal": rng.standard_normal, "heavy": lambda size: rng.standard_t(4, size)}[shape]
    assert false_alarms(draw) < 0.07  # nominal 5 %, 0.9 % of error of its own


def test_day_means_of_rows_with_a_day_effect_hold_where_rows_do_not():
    rng = np.random.default_rng(3)

    def day_means(days):
        return rng.normal(0, 0.2, days) + rng.normal(0, 1 / math.sqrt(200), days)

    assert false_alarms(day_means) < 0.07
    rows = 0
    for _ in range(60):
        effect = np.repeat(rng.normal(0, 0.2, 40), 200)
        bounds = ConfidenceSequence(expected_blocks=8000).bounds(effect + rng.normal(size=8000))
        rows += np.nanmax(bounds.lower) > 0 or np.nanmin(bounds.upper) < 0
    assert rows / 60 > 0.5


def test_a_fixed_interval_under_the_same_peeking_is_wrong_often():
    """Why a sequence: 1.96 standard errors, looked at after every block."""
    rng = np.random.default_rng(4)
    crossed = 0
    for _ in range(TRIALS):
        values = rng.normal(size=LOOKS)
        counts = np.arange(1, LOOKS + 1)
        deviation = np.array([values[:end].std(ddof=1) for end in range(2, LOOKS + 1)])
        statistic = np.cumsum(values)[1:] / counts[1:] / (deviation / np.sqrt(counts[1:]))
        crossed += np.abs(statistic[4:]).max() > stats.norm.ppf(0.975)
    assert crossed / TRIALS > 0.2


def test_a_real_difference_is_found_and_soon():
    rng = np.random.default_rng(5)
    sequence = ConfidenceSequence()
    found = [np.nanargmax(sequence.bounds(rng.normal(1, 0.3, 30)).lower > 0) + 1 for _ in range(50)]
    assert max(found) <= 10


def test_constant_and_empty_differences_do_no_harm():
    assert ConfidenceSequence().bounds(np.zeros(10)).lower[-1] == 0
    assert len(ConfidenceSequence().bounds(np.empty(0)).lower) == 0
