"""Data steps: the same seed gives the same rows, and nothing that they were given is changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.client.scoring.encoding import bucket_of, encode
from mlreg.controller.domain.steps.kinds import STEPS
from mlreg.controller.domain.steps.step import StepError, TrainingRows, apply_steps
from mlreg.registry.domain.contracts import FeatureContract, InvalidContractError

CONTRACT = FeatureContract.from_json(
    [
        {"name": "temp", "dtype": "float", "default": 0.0},
        {"name": "hour", "dtype": "int"},
        {
            "name": "carrier",
            "dtype": "category",
            "categories": ["AA", "B6", "UA"],
            "unseen": "hash",
            "buckets": 4,
        },
    ]
)
EVERY = [
    {"outages": ["temp", "carrier"], "share": 0.3},
    {"noise": ["temp", "hour"], "sigma": 0.5, "share": 0.5},
    {"noise": "all", "sigma": 0.1},
    {"subsample": 0.5, "where": {"label": 0}},
    {"subsample": 0.5, "reweight": False},
    {"upsample": 2.5, "where": {"carrier": ["AA", "UA"], "label": 1}},
    {"class_weights": "balanced"},
    {"class_weights": {"1": 5}},
    {"hashed": ["carrier"], "buckets": 4, "share": 0.5},
]


def make_rows(count=200, seed=0):
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [rng.normal(20, 8, count), rng.integers(0, 24, count), rng.integers(0, 3, count)]
    ).astype(float)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    return TrainingRows(matrix, (rng.random(count) < 0.3).astype(float))


def apply(forms, rows, seeds=None):
    steps = STEPS.validate_python(forms)
    return apply_steps(steps, rows, CONTRACT, seeds or range(len(steps)))


def frozen(rows):
    """Rows that cannot be written to: a step that tries is an error."""
    for array in (rows.matrix, rows.labels):
        array.setflags(write=False)
    return rows


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(EVERY), min_size=1, max_size=4), st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_rows_and_the_given_ones_stay(forms, seed):
    rows = frozen(make_rows())
    seeds = [seed + place for place in range(len(forms))]
    (one, records), (other, again) = (apply(forms, rows, seeds) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert records == again
    assert records[-1].rows == len(one) == len(one.matrix)
    np.testing.assert_array_equal(rows.matrix, make_rows().matrix)
    assert one.weights is None or (one.weights > 0).all()
    codes = one.matrix[:, 2][~np.isnan(one.matrix[:, 2])]
    assert set(codes) <= set(range(3 + 4)), "codes of categories and buckets, and no others"


def test_another_seed_gives_other_rows():
    rows = make_rows()
    for form in (EVERY[0], EVERY[1], EVERY[3], EVERY[5], EVERY[8]):
        one, other = (apply([form], rows, [seed])[0] for seed in (1, 2))
        same = len(one) == len(other) and np.array_equal(one.matrix, other.matrix, equal_nan=True)
        assert not same, form


def test_noise_is_in_standard_deviations_and_leaves_missing_missing():
    rows = make_rows(20_000)
    noisy, (record,) = apply([{"noise": ["temp"], "sigma": 0.5}], rows)
    moved = (noisy.matrix - rows.matrix)[:, 0]
    assert np.nanstd(moved) == pytest.approx(0.5 * np.nanstd(rows.matrix[:, 0]), rel=0.03)
    np.testing.assert_array_equal(np.isnan(noisy.matrix), np.isnan(rows.matrix))
    np.testing.assert_array_equal(noisy.matrix[:, 1:], rows.matrix[:, 1:])
    assert record.to_json()["touched"] == 20_000
    whole, _ = apply([{"noise": ["hour"], "sigma": 1}], rows)
    hours = whole.matrix[:, 1][~np.isnan(whole.matrix[:, 1])]
    assert (hours == np.rint(hours)).all()


def test_subsampling_keeps_the_weight_of_a_class_unless_told_otherwise():
    rows = make_rows(10_000)
    zeros = int((rows.labels == 0).sum())
    kept, (record,) = apply([{"subsample": 0.2, "where": {"label": 0}}], rows)
    assert record.touched == round(0.2 * zeros) == int((kept.labels == 0).sum())
    assert (kept.labels == 1).sum() == (rows.labels == 1).sum()
    assert kept.weights[kept.labels == 0].sum() == pytest.approx(zeros, rel=0.001)
    light, _ = apply([{"subsample": 0.2, "where": {"label": 0}, "reweight": False}], rows)
    assert light.weights is None


def test_upsampling_copies_the_slice_so_often():
    rows = make_rows(1000)
    more, (record,) = apply([{"upsample": 2.5, "where": {"carrier": "AA"}}], rows)
    slice_ = int((rows.matrix[:, 2] == 0).sum())
    assert record.touched == round(1.5 * slice_)
    assert (more.matrix[:, 2] == 0).sum() == slice_ + record.touched
    np.testing.assert_array_equal(more.matrix[:1000], rows.matrix)


def test_balanced_classes_weigh_the_same_together():
    rows = make_rows(1000)
    balanced, _ = apply([{"class_weights": "balanced"}], rows)
    for label in (0, 1):
        assert balanced.weights[balanced.labels == label].sum() == pytest.approx(500)
    given_weights, _ = apply([{"class_weights": {"1": 5}}], rows)
    assert set(given_weights.weights[rows.labels == 1]) == {5.0}
    assert set(given_weights.weights[rows.labels == 0]) == {1.0}


def test_an_unseen_value_has_the_code_that_training_knew():
    """What the step writes for `AA` in its bucket is what serving writes for a value of it."""
    rows = make_rows(400)
    stepped, _ = apply([{"hashed": ["carrier"], "buckets": 4, "share": 1}], rows)
    names = ["AA", "B6", "UA"]
    for before, after in zip(rows.matrix[:, 2], stepped.matrix[400:, 2], strict=True):
        if np.isnan(before):
            assert np.isnan(after)
        else:
            assert after == 3 + bucket_of(names[int(before)], 4)
    served = encode(
        CONTRACT.to_document(),
        {"temp": [1.0] * 4, "hour": [2] * 4, "carrier": ["AA", "ZZ", "never seen", None]},
    )
    codes = served.matrix[:, 2]
    assert codes[0] == 0
    assert codes[1:3].tolist() == [3 + bucket_of("ZZ", 4), 3 + bucket_of("never seen", 4)]
    assert np.isnan(codes[3])
    assert served.unseen == {"carrier": 2}
    assert bucket_of("ZZ", 16) == 10, "the bucket of a value is the same for ever"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"outages": ["rain"], "share": 0.1}, "'outages' names 'rain', which the feature contract"),
        ({"noise": ["carrier"], "sigma": 1}, "names 'carrier', which is category and no number"),
        ({"upsample": 2, "where": {"carrier": "ZZ"}}, "asks for carrier: 'ZZ', no category of it"),
        ({"upsample": 2, "where": {"temp": "hot"}}, "asks for temp: 'hot', and that feature is"),
        ({"subsample": 0.5, "where": {"label": "late"}}, "labels are numbers"),
        ({"subsample": 0.001}, "leaves no rows to train on"),
    ],
)
def test_a_step_that_cannot_be_done_says_why(form, said):
    with pytest.raises(StepError, match=said):
        apply([form], make_rows())


@pytest.mark.parametrize(
    "form",
    [
        {"shuffle": True},
        {"noise": "all", "sigma": 1, "outages": ["temp"]},
        {"noise": "all"},
        {"subsample": 1.5},
        {"upsample": 2},
        {"class_weights": {"late": 2}},
        {"class_weights": {"1": -2}},
        {"hashed": [], "share": 0.1},
        "noise",
    ],
)
def test_what_is_no_step_is_no_step(form):
    with pytest.raises(ValidationError):
        STEPS.validate_python([form])


@pytest.mark.parametrize(
    "change",
    [{"unseen": "hash"}, {"buckets": 4}, {"unseen": "hash", "buckets": 10_000}, {"buckets": True}],
)
def test_buckets_go_with_hashing(change):
    form = {"name": "carrier", "dtype": "category", "categories": ["AA"], **change}
    with pytest.raises(InvalidContractError, match="buckets"):
        FeatureContract.from_json([form])


def test_a_contract_without_buckets_keeps_its_digest():
    form = {"name": "carrier", "dtype": "category", "categories": ["AA"]}
    assert "buckets" not in FeatureContract.from_json([form]).to_document()["features"][0]
