"""Profiles: what is counted, and that merging two is profiling both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlreg.controller.domain.bins import Bins, make_bins
from mlreg.controller.domain.profile import (
    BrokenProfileError,
    DifferentBinsError,
    Profile,
    empty_profile,
    merge,
    merge_all,
    profile_rows,
)
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json(
    [
        {"name": "temp", "dtype": "float", "default": 0.0, "at_risk": True},
        {"name": "hour", "dtype": "int"},
        {"name": "carrier", "dtype": "category", "categories": ["AA", "UA", "DL"], "default": "UA"},
        {"name": "rain", "dtype": "bool"},
    ]
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=False, width=64)


def reference(seed=0, rows=2_000):
    rng = np.random.default_rng(seed)
    return {
        "temp": rng.normal(50.0, 20.0, rows),
        "hour": rng.integers(0, 24, rows).astype(float),
        "carrier": rng.integers(-2, 3, rows),
        "rain": rng.integers(-1, 2, rows),
        "score": rng.random(rows),
    }


BINS = make_bins(reference(), CONTRACT)


@st.composite
def windows(draw):
    size = draw(st.integers(0, 60))
    numbers = arrays.arrays(np.float64, size, elements=NUMBERS)
    return {
        "temp": draw(numbers),
        "hour": draw(arrays.arrays(np.float64, size, elements=st.integers(-5, 30).map(float))),
        "carrier": draw(arrays.arrays(np.int64, size, elements=st.integers(-2, 5))),
        "rain": draw(arrays.arrays(np.int64, size, elements=st.integers(-1, 1))),
        "score": draw(arrays.arrays(np.float64, size, elements=st.floats(0.0, 1.0))),
    }


def both(first, second):
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def assert_same(one, other):
    assert one.rows == other.rows
    assert (one.counts == other.counts).all()
    assert (one.tallies == other.tallies).all()
    assert (one.extremes == other.extremes).all()
    np.testing.assert_allclose(one.sums, other.sums, rtol=1e-9, atol=1e-6)


@settings(max_examples=150, deadline=None)
@given(first=windows(), second=windows())
def test_merging_is_profiling_both(first, second):
    merged = merge(profile_rows(first, BINS), profile_rows(second, BINS))
    assert_same_counts(merged, profile_rows(both(first, second), BINS))


def assert_same_counts(one, other):
    assert one.rows == other.rows
    assert (one.counts == other.counts).all()
    assert (one.tallies == other.tallies).all()
    assert (one.extremes == other.extremes).all()


@settings(max_examples=50, deadline=None)
@given(
    first=arrays.arrays(np.float64, 50, elements=st.floats(-1e6, 1e6)),
    second=arrays.arrays(np.float64, 70, elements=st.floats(-1e6, 1e6)),
)
def test_moments_merge_within_tolerance(first, second):
    bins = make_bins({**reference(), "temp": first}, CONTRACT)
    parts = [
        profile_rows({**reference(rows=len(values)), "temp": values}, bins)
        for values in (first, second)
    ]
    merged = merge(*parts).column("temp")
    values = np.concatenate([first, second])
    scale = max(float(np.abs(values).max()), 1e-3)
    assert merged.mean == pytest.approx(values.mean(), abs=1e-9 * scale)
    assert merged.deviation == pytest.approx(values.std(), abs=1e-5 * scale)


@settings(max_examples=50, deadline=None)
@given(window=windows())
def test_every_row_is_in_one_place(window):
    profile = profile_rows(window, BINS)
    for column in BINS.columns:
        part = profile.column(column.name)
        assert part.counts.sum() + part.nulls + part.unseen == len(window["temp"])


@settings(max_examples=100, deadline=None)
@given(values=arrays.arrays(np.float64, st.integers(1, 80), elements=NUMBERS))
def test_bins_count_what_their_edges_say(values):
    """Counting cells of the grid is counting between edges, up to 32-bit rounding at an edge."""
    column = next(column for column in BINS.columns if column.name == "temp")
    counted = profile_rows({**reference(rows=len(values)), "temp": values}, BINS).column("temp")
    known = values[np.abs(values) < 1e9]
    rounding = 1e-6 * (np.abs(known - column.center) + column.unit * 1e-30)
    near = np.abs(known[:, None] - column.edges[None, :]) <= rounding[:, None]
    if near.any():
        return
    places = np.searchsorted(column.edges, known, side="right")
    expected = np.bincount(places, minlength=column.size)
    expected[0] += np.count_nonzero(values <= -1e9)
    expected[-1] += np.count_nonzero(values >= 1e9)
    assert (counted.counts == expected).all()


def test_counts_of_a_window():
    window = {
        "temp": np.array([0.0, 0.0, np.nan, 50.0, -1e9, 1e9]),
        "hour": np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]),
        "carrier": np.array([1, 1, -1, -2, 0, 7]),
        "rain": np.array([0, 1, -1, 1, 1, 1]),
    }
    profile = profile_rows(window, BINS)
    temp, carrier = profile.column("temp"), profile.column("carrier")
    assert (temp.nulls, temp.default_rows, temp.counts[0], temp.counts[-1]) == (1, 2, 1, 1)
    assert temp.default_share == pytest.approx(0.5)
    assert (temp.minimum, temp.maximum) == (-1e9, 1e9)
    assert carrier.counts.tolist() == [1, 2, 0]
    assert (carrier.nulls, carrier.unseen, carrier.default_rows) == (1, 2, 2)
    assert profile.column("rain").counts.tolist() == [1, 4]
    assert profile.column("score").nulls == 6


def test_no_bin_holds_many_rows_and_none_is_wide():
    rows = reference(rows=20_000)
    column = profile_rows(rows, make_bins(rows, CONTRACT)).column("temp")
    assert column.counts[0] == column.counts[-1] == 0
    assert column.counts.max() <= 0.06 * 20_000
    inside = column.edges[(column.edges > -10) & (column.edges < 110)]
    assert np.diff(inside).max() <= 0.5 * column.deviation


@pytest.mark.parametrize(
    "sample",
    [
        lambda rng: rng.lognormal(0.0, 4.0, 20_000),
        lambda rng: rng.standard_cauchy(20_000) * 1e3,
        lambda rng: np.concatenate([rng.normal(0, 1, 10_000), rng.normal(1e9, 1, 10_000)]),
        lambda rng: np.append(rng.normal(0, 1, 19_999), 1e15),
    ],
)
def test_heavy_tails_do_not_collapse(sample):
    values = sample(np.random.default_rng(1))
    bins = make_bins({**reference(), "temp": values}, CONTRACT)
    counts = profile_rows({**reference(rows=20_000), "temp": values}, bins).column("temp").counts
    assert counts.max() < 0.12 * 20_000
    assert (counts > 0).sum() >= 15


def test_few_values_have_a_bin_each():
    counts = profile_rows(reference(), BINS).column("hour").counts
    assert (counts[1:-1] > 0).sum() == 24


@pytest.mark.parametrize(
    "values", [np.full(50, 3.5), np.full(50, np.nan), np.zeros(50), np.empty(0)]
)
def test_a_column_that_never_changes_has_bins(values):
    bins = make_bins({**reference(), "temp": values}, CONTRACT)
    profile = profile_rows({**reference(rows=len(values)), "temp": values}, bins)
    assert profile.column("temp").counts.sum() == np.isfinite(values).sum()


LARGEST = np.finfo(np.float64).max


@pytest.mark.parametrize("low", [0.0, -LARGEST])
@pytest.mark.parametrize("between", [2, 7])
def test_the_largest_number_may_stand_for_missing(low, between):
    """Old systems write it so: nothing is above it, and no edge may be infinite."""
    values = np.random.default_rng(0).normal(size=700)
    values[::between], values[1::between] = LARGEST, low
    bins = make_bins({**reference(rows=700), "temp": values}, CONTRACT)
    assert Bins.from_bytes(bins.to_bytes()).digest == bins.digest
    profile = profile_rows({**reference(rows=700), "temp": values}, bins)
    assert profile.column("temp").counts.sum() == 700
    assert profile.column("temp").counts.max() <= 700 / 2


def test_scores_beyond_probabilities_have_bins_of_their_own():
    rows = {**reference(), "label": np.random.default_rng(0).normal(100.0, 30.0, 2_000)}
    del rows["score"]
    bins = make_bins(rows, CONTRACT)
    assert bins.columns[-1].edges.max() > 100.0


def test_bytes_bring_back_the_same():
    bins = Bins.from_bytes(BINS.to_bytes())
    assert bins.digest == BINS.digest
    for rows in (0, 1, 300, 100_000):
        profile = profile_rows(reference(rows=rows), BINS)
        assert_same(Profile.from_bytes(profile.to_bytes(), bins), profile)
    assert len(profile_rows(reference(rows=40), BINS).to_bytes()) < 600


def test_strange_bytes_and_bins_are_refused():
    other = make_bins(reference(seed=1), CONTRACT)
    profile = profile_rows(reference(), BINS)
    with pytest.raises(DifferentBinsError):
        merge(profile, empty_profile(other))
    for raw in (b"", b"junk" * 100, profile.to_bytes()[:-3]):
        with pytest.raises(BrokenProfileError):
            Profile.from_bytes(raw, BINS)
    with pytest.raises(BrokenProfileError):
        Profile.from_bytes(profile.to_bytes(), other)


def test_many_windows_merge_as_one():
    parts = [reference(seed=seed, rows=40) for seed in range(100)]
    merged = merge_all([profile_rows(part, BINS) for part in parts])
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert_same(merged, profile_rows(whole, BINS))
    assert_same(merge(merged, empty_profile(BINS)), merged)
