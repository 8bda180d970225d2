"""Levels of features: what they hold, what they are called, and that each row has at most one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.bins import number_bins
from mlreg.controller.domain.levels import GROUPS, MOST_LEVELS, category_levels, levels_of

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, rows=st.integers(1, 3_000), least=st.integers(1, 200), digits=st.integers(0, 3))
def test_a_number_is_in_the_range_of_its_level(seed, rows, least, digits):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rows).round(digits)
    values[rng.random(rows) < 0.1] = np.nan
    bins = number_bins("x", rng.normal(size=500).round(digits), 0.0)
    found = levels_of(bins, values, least)
    assert len(found) <= GROUPS + 4
    for level, text in enumerate(found.texts):
        inside = values[found.codes == level]
        assert len(inside) >= least
        if text == "missing":
            assert np.isnan(inside).all()
        elif text == "at its default":
            assert (inside == 0.0).all()
        elif text.startswith("= "):
            assert (inside == float(text[2:])).all()
        else:
            low, _, high = text.partition(" to ")
            assert f"{inside.min():.6g}" == low
            assert f"{inside.max():.6g}" == high
    assert found.codes.max() <= len(found)


def test_what_lies_outside_of_the_training_rows_is_a_level_of_its_own():
    rng = np.random.default_rng(0)
    bins = number_bins("x", rng.normal(size=5_000), None)
    values = np.concatenate([rng.normal(size=4_000), np.full(60, 40.0), np.full(70, -40.0)])
    found = levels_of(bins, values, 50)
    assert {"= -40", "= 40"} <= set(found.texts)
    assert len(found) == GROUPS + 2
    sizes = np.bincount(found.codes)[1:-1]
    assert sizes.max() < 2.5 * sizes.min()


def test_categories_missing_and_unseen():
    codes = np.array([0] * 50 + [1] * 3 + [-1] * 20 + [-2] * 20 + [9] * 5)
    found = category_levels("carrier", codes, ["AA", "UA"], 10)
    assert found.texts == ("unseen", "missing", "= AA")
    assert list(np.bincount(found.codes)) == [25, 20, 50, 3]


def test_of_very_many_categories_the_largest_are_kept():
    codes = np.repeat(np.arange(200), np.arange(200) + 1)
    found = category_levels("tail", codes, [str(code) for code in range(200)], 5)
    assert len(found) == MOST_LEVELS
    assert set(found.texts) == {f"= {code}" for code in range(150, 200)}


def test_no_rows_have_no_levels():
    nothing = levels_of(number_bins("x", np.arange(10.0), None), np.empty(0), 5)
    assert (len(nothing), len(nothing.codes)) == (0, 0)
    assert len(category_levels("c", np.empty(0, int), ["a"], 5)) == 0
