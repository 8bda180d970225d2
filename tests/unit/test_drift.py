"""Effect sizes against scipy and direct computation, and on streams whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.drift import (
    PSEUDO_COUNT,
    effect_sizes,
    jensen_shannon,
    psi,
    wasserstein_over_sigma,
)
from mlreg.controller.domain.profile import DifferentBinsError, empty_profile, profile_rows
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
    """Return both columns' profiles under the bins of the first."""
    bins = make_bins(columns(before), CONTRACT)
    return tuple(profile_rows(columns(values), bins).column("x") for values in (before, now))


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
    before, now = profiles(rng.normal(0.0, 1.0, 3_000), rng.normal(shift, scale, rows))
    expected = jensenshannon(shares(before, before), shares(before, now), base=2)
    assert jensen_shannon(before, now) == pytest.approx(expected, abs=1e-9)
    p, q = shares(before, before, PSEUDO_COUNT), shares(before, now, PSEUDO_COUNT)
    direct = sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi(before, now) == pytest.approx(direct, abs=1e-12)


@pytest.mark.parametrize(
    ("shift", "scale"), [(0.0, 1.0), (0.1, 1.0), (1.0, 1.0), (3.0, 1.0), (0.0, 2.0), (-2.0, 0.3)]
)
def test_wasserstein_is_that_of_scipy_but_for_the_width_of_bins(shift, scale):
    rng = np.random.default_rng(3)
    first, second = rng.normal(10.0, 4.0, 20_000), rng.normal(10.0 + 4 * shift, 4 * scale, 20_000)
    found = wasserstein_over_sigma(*profiles(first, second))
    expected = wasserstein_distance(first, second) / first.std()
    assert found == pytest.approx(expected, abs=0.06, rel=0.06)


def test_wasserstein_of_straight_distributions_is_exact():
    """Uniform values are straight between edges, as the bins take them to be."""
    first = np.linspace(0.0, 1.0, 100_001)
    found = wasserstein_over_sigma(*profiles(first, first + 0.25))
    assert found == pytest.approx(0.25 / first.std(), rel=2e-3)


def test_equal_rows_have_no_drift():
    values = np.random.default_rng(0).normal(size=5_000)
    before, now = profiles(values, values)
    assert psi(before, now) == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon(before, now) == 0.0
    assert wasserstein_over_sigma(before, now) == 0.0


def test_nulls_and_unseen_kinds_are_drift():
    values = np.random.default_rng(0).normal(size=2_000)
    missing = values.copy()
    missing[:1_000] = np.nan
    before, now = profiles(values, missing)
    assert psi(before, now) > 1.0
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
        assert {size.psi for size in sizes.values()} == {None}
        assert {size.jensen_shannon for size in sizes.values()} == {None}
        assert {size.wasserstein for size in sizes.values()} == {None}


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
    reference = profile_rows({"kind": rows}, bins).column("kind")
    found = []
    for _ in range(100):
        window = rng.choice(100, 900, p=weights / weights.sum())
        found.append(psi(reference, profile_rows({"kind": window}, bins).column("kind")))
    assert max(found) < 0.1
    turned = rng.choice(100, 900, p=weights[::-1] / weights.sum())
    assert psi(reference, profile_rows({"kind": turned}, bins).column("kind")) > 0.5


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
    reference = profile_rows(columns(before), bins).column("x")
    found = [
        psi(reference, profile_rows(columns(rng.normal(size=900)), bins).column("x"))
        for _ in range(300)
    ]
    assert max(found) < 0.1
    shifted = profile_rows(columns(rng.normal(0.5, 1.0, size=900)), bins).column("x")
    assert psi(reference, shifted) > 0.2
