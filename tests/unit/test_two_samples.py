"""Tests of two samples against scipy, and their error rates on streams whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp

from mlreg.controller.domain.joint_shift import shift_of
from mlreg.controller.domain.two_samples import (
    chi_square,
    kolmogorov_smirnov,
    mean_discrepancy,
)

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, shift=st.floats(0.0, 0.5), rows=st.integers(100, 800))
def test_kolmogorov_smirnov_is_that_of_scipy(seed, shift, rows):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=600), rng.normal(shift, 1.0, rows).round(1)
    first[:20] = np.nan
    expected = ks_2samp(first[20:], second)
    found = kolmogorov_smirnov(first, second)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, codes=st.integers(2, 12), rows=st.integers(200, 2_000))
def test_chi_square_is_that_of_scipy(seed, codes, rows):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, codes, 2_000), rng.integers(0, codes, rows)
    table = [np.bincount(one, minlength=codes) for one in (first, second)]
    expected = chi2_contingency(table, correction=False)
    found = chi_square(first, second)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)


def test_rare_codes_are_taken_together():
    first = np.zeros(1_000, int)
    second = np.concatenate([np.zeros(990, int), np.arange(1, 11)])
    assert chi_square(first, second).p_value < 0.01  # ten rows that were never there before
    assert chi_square(first, np.zeros(50, int)) is None


def test_without_rows_there_is_no_test():
    nothing, some = np.empty(0), np.ones(5)
    assert kolmogorov_smirnov(nothing, some) is None
    assert kolmogorov_smirnov(np.full(5, np.nan), some) is None
    assert chi_square(nothing.astype(int), some.astype(int)) is None
    rng = np.random.default_rng(0)
    assert mean_discrepancy(np.empty((0, 2)), np.ones((5, 2)), rng) is None


def test_mean_discrepancy_keeps_its_level_and_sees_what_margins_do_not():
    """A level of 5 % over 60 draws: at most 8 false alarms (p < 0.01 of more)."""
    rng = np.random.default_rng(2)
    false = sum(
        mean_discrepancy(rng.normal(size=(150, 3)), rng.normal(size=(150, 3)), rng).p_value <= 0.05
        for _ in range(60)
    )
    assert false <= 8
    base = rng.normal(size=(400, 2))
    turned = np.column_stack([base[:, 0], base[:, 0] * 0.95 + 0.3 * base[:, 1]])
    assert mean_discrepancy(rng.normal(size=(400, 2)), turned, rng).p_value < 0.01


def test_the_interval_of_an_auc_holds_its_level():
    """Scores of known AUC 0.76 (d' = 1): 95 % intervals miss it in 1 to 9 % of 300 draws."""
    from scipy.stats import norm

    rng, true = np.random.default_rng(4), norm.cdf(1 / np.sqrt(2))
    missed = 0
    for _ in range(300):
        is_window = np.arange(300) >= 150
        found = shift_of(is_window, rng.normal(size=300) + is_window, {"x": 1.0})
        missed += not found.low <= true <= found.high
    assert 3 <= missed <= 27


def test_culprits_are_shares_of_the_gain():
    is_window = np.array([False, True, False, True])
    found = shift_of(is_window, np.array([0.1, 0.9, 0.2, 0.2]), {"a": 1.0, "b": 3.0, "c": 0.0})
    assert found.culprits == (("b", 0.75), ("a", 0.25))
    assert found.auc == pytest.approx(0.875)  # one pair of four is a tie
