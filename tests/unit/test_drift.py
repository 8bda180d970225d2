"""Effect sizes against scipy and direct computation, and on streams whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.drift import SIZES, Yardstick, effect_sizes
from mlreg.controller.domain.grouped_shares import PSEUDO_COUNT
from mlreg.controller.domain.profile import (
    BrokenProfileError,
    DifferentBinsError,
    empty_profile,
    merge_all,
    profile_rows,
)
from mlreg.controller.domain.stack import ProfileStack
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json(
    [
        {"name": "x", "dtype": "float"},
        {"name": "kind", "dtype": "category", "categories": ["a", "b", "c"]},
    ]
)


def columns(values, kinds=None):
    values = np.asarray(values, dtype=float)
    return {"x": values, "kind": np.zeros(len(values), int) if kinds is None else kinds}


def profiles(before, now):
    """Return both profiles under the bins of the first."""
    bins = make_bins(columns(before), CONTRACT)
    return tuple(profile_rows(columns(values), bins) for values in (before, now))


def sizes_of(before, now):
    """Return the effect sizes of the number x."""
    return effect_sizes(*profiles(before, now))["x"]


def shares(reference, profile, pseudo=0.0):
    """Count once more, in groups of about a twentieth of the reference each."""
    ends = np.cumsum(reference.counts)
    groups = {}
    for place, count in enumerate(profile.counts):
        before = ends[place] - reference.counts[place]
        group = min(before * 20 // ends[-1], 19)
        if place in {0, len(profile.counts) - 1}:
            group = f"beyond {place}"
        groups[group] = groups.get(group, 0) + count
    counts = np.array([*groups.values(), profile.nulls, profile.unseen]) + pseudo
    return counts / counts.sum()


SAMPLES = st.tuples(
    st.integers(0, 2**32 - 1), st.floats(-3.0, 3.0), st.floats(0.2, 5.0), st.integers(20, 2_000)
)


@settings(max_examples=60, deadline=None)
@given(sample=SAMPLES)
def test_sizes_are_those_of_scipy(sample):
    seed, shift, scale, rows = sample
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.0, 1.0, 3_000), rng.normal(shift, scale, rows)
    whole = profiles(first, second)
    found = effect_sizes(*whole)["x"]
    before, now = (profile.column("x") for profile in whole)
    expected = jensenshannon(shares(before, before), shares(before, now), base=2)
    assert found.jensen_shannon == pytest.approx(expected, abs=1e-9)
    p, q = shares(before, before, PSEUDO_COUNT), shares(before, now, PSEUDO_COUNT)
    direct = sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    assert found.psi == pytest.approx(direct, abs=1e-12)
    exact = ks_2samp(first, second).statistic
    assert exact - 0.06 <= found.ks <= exact + 1e-9


@pytest.mark.parametrize(
    ("shift", "scale"), [(0.0, 1.0), (0.1, 1.0), (1.0, 1.0), (3.0, 1.0), (0.0, 2.0), (-2.0, 0.3)]
)
def test_wasserstein_is_that_of_scipy_but_for_the_width_of_bins(shift, scale):
    rng = np.random.default_rng(3)
    first, second = rng.normal(10.0, 4.0, 20_000), rng.normal(10.0 + 4 * shift, 4 * scale, 20_000)
    found = sizes_of(first, second).wasserstein
    expected = wasserstein_distance(first, second) / first.std()
    assert found == pytest.approx(expected, abs=0.06, rel=0.06)


def test_wasserstein_of_straight_distributions_is_exact():
    """Uniform values are straight between edges, as the bins take them to be."""
    first = np.linspace(0.0, 1.0, 100_001)
    found = sizes_of(first, first + 0.25).wasserstein
    assert found == pytest.approx(0.25 / first.std(), rel=2e-3)


def test_equal_rows_have_no_drift():
    values = np.random.default_rng(0).normal(size=5_000)
    found = sizes_of(values, values)
    assert found.psi == pytest.approx(0.0, abs=1e-12)
    assert (found.jensen_shannon, found.wasserstein, found.ks) == (0.0, 0.0, 0.0)


def test_nulls_and_unseen_kinds_are_drift():
    values = np.random.default_rng(0).normal(size=2_000)
    missing = values.copy()
    missing[:1_000] = np.nan
    assert sizes_of(values, missing).psi > 1.0
    bins = make_bins(columns(values), CONTRACT)
    strange = np.where(np.arange(2_000) < 1_000, -2, 0)
    whole = effect_sizes(
        profile_rows(columns(values), bins), profile_rows(columns(values, strange), bins)
    )
    assert whole["kind"].psi > 1.0
    assert whole["kind"].wasserstein is None
    assert whole["x"].psi == pytest.approx(0.0, abs=1e-12)


def test_without_rows_there_is_no_size():
    values = np.random.default_rng(0).normal(size=200)
    bins = make_bins(columns(values), CONTRACT)
    profile = profile_rows(columns(values), bins)
    for sizes in (
        effect_sizes(profile, empty_profile(bins)),
        effect_sizes(empty_profile(bins), profile),
    ):
        for name in SIZES:
            assert {getattr(size, name) for size in sizes.values()} == {None}


def test_rare_kinds_are_compared_together():
    """A hundred kinds in a window of 900 rows: mostly noise, but for those that are common."""
    names = [f"k{number}" for number in range(100)]
    contract = FeatureContract.from_json(
        [{"name": "kind", "dtype": "category", "categories": names}]
    )
    rng = np.random.default_rng(5)
    weights = 1.0 / np.arange(1, 101)
    rows = rng.choice(100, 50_000, p=weights / weights.sum())
    bins = make_bins({"kind": rows}, contract)
    reference = profile_rows({"kind": rows}, bins)
    found = []
    for _ in range(100):
        window = rng.choice(100, 900, p=weights / weights.sum())
        found.append(effect_sizes(reference, profile_rows({"kind": window}, bins))["kind"].psi)
    assert max(found) < 0.1
    turned = rng.choice(100, 900, p=weights[::-1] / weights.sum())
    assert effect_sizes(reference, profile_rows({"kind": turned}, bins))["kind"].psi > 0.5


def test_profiles_of_other_bins_are_refused():
    rng = np.random.default_rng(0)
    one, other = (make_bins(columns(rng.normal(size=100)), CONTRACT) for _ in range(2))
    with pytest.raises(DifferentBinsError):
        effect_sizes(empty_profile(one), empty_profile(other))


def test_psi_of_no_drift_stays_below_the_usual_threshold():
    """The false alarms of a day of 900 rows against 20,000, over 300 days: none at 0.1."""
    rng = np.random.default_rng(11)
    before = rng.normal(size=20_000)
    bins = make_bins(columns(before), CONTRACT)
    reference = profile_rows(columns(before), bins)
    days = [profile_rows(columns(rng.normal(size=900)), bins) for _ in range(300)]
    matrix = Yardstick(reference).measure(ProfileStack.of(days, bins))
    assert matrix.sizes["psi"][:, 0].max() < 0.1
    shifted = profile_rows(columns(rng.normal(0.5, 1.0, size=900)), bins)
    assert effect_sizes(reference, shifted)["x"].psi > 0.2


def test_many_windows_at_once_are_each_by_itself():
    rng = np.random.default_rng(4)
    reference = columns(rng.normal(size=3_000), rng.integers(-1, 3, 3_000))
    bins = make_bins(reference, CONTRACT)
    whole = profile_rows(reference, bins)
    windows = [empty_profile(bins), profile_rows(columns([np.nan] * 9, np.full(9, -2)), bins)]
    for size in range(1, 200):
        values = rng.standard_t(2, size) * 3 + rng.normal()
        windows.append(profile_rows(columns(values, rng.integers(-2, 3, size)), bins))
    matrix = Yardstick(whole).measure(ProfileStack.of(windows, bins))
    for place, window in enumerate(windows):
        alone = effect_sizes(whole, window)
        for column, sizes in matrix.window(place).items():
            for name in SIZES:
                value = getattr(alone[column], name)
                assert getattr(sizes, name) == pytest.approx(value, abs=1e-9, nan_ok=True)


def test_a_column_without_values_does_not_disturb_its_neighbours():
    names = ["a", "b", "c"]
    contract = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in names])
    rng = np.random.default_rng(8)
    rows = {name: rng.normal(size=500) for name in names}
    bins = make_bins(rows, contract)
    empty = {**rows, "b": np.full(500, np.nan)}
    shifted = {name: values + 1.0 for name, values in rows.items()}
    for before, now in ((rows, {**shifted, "b": empty["b"]}), (empty, shifted)):
        found = effect_sizes(profile_rows(before, bins), profile_rows(now, bins))
        assert (found["b"].wasserstein, found["b"].ks) == (None, None)
        assert found["a"].wasserstein == pytest.approx(1.0, abs=0.03)
        assert found["c"].ks == pytest.approx(0.38, abs=0.05)


def test_a_reference_that_saw_no_value_has_no_sizes():
    """The scores of a version's own training rows would be in-sample, and are not kept."""
    values = np.random.default_rng(0).normal(size=200)
    bins = make_bins(columns(values), CONTRACT)
    window = {**columns(values), "score": np.full(200, 0.5)}
    found = effect_sizes(profile_rows(columns(values), bins), profile_rows(window, bins))["score"]
    assert {getattr(found, name) for name in SIZES} == {None}


def test_cramers_v_is_chi_square_of_equally_many_rows():
    rng = np.random.default_rng(6)
    before, now = rng.integers(0, 3, 900), rng.choice(3, 900, p=[0.6, 0.3, 0.1])
    bins = make_bins(columns(np.zeros(900), before), CONTRACT)
    found = effect_sizes(
        *(profile_rows(columns(np.zeros(900), kinds), bins) for kinds in (before, now))
    )
    table = [np.bincount(kinds, minlength=3) for kinds in (before, now)]
    expected = np.sqrt(chi2_contingency(table, correction=False).statistic / 1_800)
    assert found["kind"].cramers_v == pytest.approx(expected, rel=1e-12)
    assert found["x"].cramers_v is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 6), wide=st.booleans())
def test_a_stack_decodes_and_merges_as_its_profiles_do(seed, parts, wide):
    rng = np.random.default_rng(seed)
    bins = make_bins(columns(rng.normal(size=50)), CONTRACT)
    windows = [
        profile_rows(columns(rng.normal(size=size), rng.integers(-2, 3, size)), bins)
        for size in rng.integers(0, 400 if wide else 40, parts)
    ]
    stack = ProfileStack.from_bytes([one.to_bytes() for one in windows], bins)
    merged, expected = stack.merged(), merge_all(windows)
    for name in ("rows", "counts", "tallies", "extremes"):
        assert np.array_equal(getattr(merged, name), getattr(expected, name))
    np.testing.assert_allclose(merged.sums, expected.sums)
    keys = np.sort(rng.integers(0, 3, parts))
    by_key = stack.merged_by(keys)
    for place, key in enumerate(np.unique(keys)):
        of_key = merge_all([one for one, its in zip(windows, keys, strict=True) if its == key])
        assert np.array_equal(by_key.counts[place], of_key.counts)
        assert np.array_equal(by_key.extremes[place], of_key.extremes)


def test_a_body_of_other_bins_in_a_stack_is_broken():
    rng = np.random.default_rng(0)
    one, other = (make_bins(columns(rng.normal(size=100)), CONTRACT) for _ in range(2))
    bodies = [empty_profile(one).to_bytes(), empty_profile(other).to_bytes()]
    for raw in (bodies, [bodies[0][:-1]], [bodies[0][:30]]):
        with pytest.raises(BrokenProfileError):
            ProfileStack.from_bytes(raw, one)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_wasserstein_is_the_area_between_straight_pieces(seed):
    """Scores in bins of probabilities, whole bins filled evenly: held against a fine sum."""
    rng = np.random.default_rng(seed)
    sides = [rng.multinomial(400, rng.dirichlet(np.full(20, 0.3))) for _ in range(2)]
    rows = [
        np.concatenate([[0.0, 0.9999999], np.repeat(np.arange(20) / 20 + 0.01, counts)])
        for counts in sides
    ]
    bins = make_bins({**columns(np.zeros(3)), "score": rows[0]}, CONTRACT)
    profiled = [
        profile_rows({**columns(np.zeros(len(scores))), "score": scores}, bins) for scores in rows
    ]
    found = effect_sizes(*profiled)["score"].wasserstein
    edges = profiled[0].column("score").edges
    counted = [profile.column("score").counts[1:-1] for profile in profiled]
    points = np.linspace(0.0, 1.0, 200_001)
    functions = [
        np.interp(points, edges, np.concatenate([[0], np.cumsum(counts)]) / counts.sum())
        for counts in counted
    ]
    gaps = np.abs(functions[0] - functions[1])
    expected = float(((gaps[1:] + gaps[:-1]) / 2).mean()) / profiled[0].column("score").deviation
    assert found == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf, -np.inf, 1e300])
def test_a_column_of_one_value_has_no_nonsense(value):
    """Constant, missing, infinite or huge, in the window or in the reference."""
    bins = make_bins(columns(np.random.default_rng(1).normal(20.0, 8.0, 2_000)), CONTRACT)
    usual = profile_rows(columns(np.random.default_rng(2).normal(20.0, 8.0, 400)), bins)
    odd = profile_rows(columns(np.full(400, value)), bins)
    for sizes in (effect_sizes(usual, odd), effect_sizes(odd, usual)):
        for size in SIZES:
            found = getattr(sizes["x"], size)
            assert found is None or np.isfinite(found)
    assert effect_sizes(odd, usual)["x"].wasserstein is None
    assert effect_sizes(usual, odd)["x"].psi > 1.0
