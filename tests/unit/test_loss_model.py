"""A regression's errors, estimated from profiles, against errors that a simulation knows."""

from __future__ import annotations

import numpy as np
import pytest

from mlreg.controller.domain.loss_model import LossModel, fit_losses
from mlreg.controller.domain.profile import make_bins, profile_rows
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json(
    [
        {"name": "distance", "dtype": "float"},
        {"name": "carrier", "dtype": "category", "categories": ["AA", "UA"]},
    ]
)


def day(rng, *, rows=1_500, shift=0.0, noise=1.0):
    """Errors grow with the distance, and are twice as large for the second carrier."""
    distance = rng.normal(shift, 1.0, rows)
    distance[rng.random(rows) < 0.02] = np.nan
    carrier = (rng.random(rows) < 0.4).astype(float)
    scale = np.exp(0.5 * np.nan_to_num(distance)) * (1 + carrier) * noise
    columns = {"distance": distance, "carrier": carrier.astype(np.intp)}
    columns["score"] = 10 + np.nan_to_num(distance)
    return columns, rng.normal(0, scale)


def fitted(rng, *, days=10, **options):
    parts = [day(rng, **options) for _ in range(days)]
    columns = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
    errors = np.concatenate([part[1] for part in parts])
    windows = np.repeat(np.arange(days), [len(part[1]) for part in parts])
    bins = make_bins({**columns, "label": columns["score"]}, CONTRACT)
    return fit_losses(columns, errors, windows, bins), bins


def estimated(model, bins, columns):
    return {one.metric: one for one in model.estimate(profile_rows(columns, bins))}


@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_it_follows_a_shift_of_the_features(shift):
    rng = np.random.default_rng(0)
    model, bins = fitted(rng)
    columns, errors = day(rng, rows=50_000, shift=shift)
    found = estimated(model, bins, columns)
    assert found["mae"].value == pytest.approx(np.abs(errors).mean(), rel=0.12)
    assert found["rmse"].value == pytest.approx(np.sqrt(np.square(errors).mean()), rel=0.2)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = {"mae": 0, "rmse": 0}
    for _ in range(60):
        model, bins = fitted(rng, days=8, rows=300)
        columns, errors = day(rng, rows=300)
        found = estimated(model, bins, columns)
        truth = {"mae": np.abs(errors).mean(), "rmse": np.sqrt(np.square(errors).mean())}
        for name in held:
            held[name] += found[name].low <= truth[name] <= found[name].high
    assert all(times / 60 >= 0.88 for times in held.values()), held


def test_it_is_blind_to_pure_concept_drift():
    rng = np.random.default_rng(2)
    model, bins = fitted(rng)
    columns, errors = day(rng, rows=20_000, noise=3.0)
    assert np.abs(errors).mean() > 2 * estimated(model, bins, columns)["mae"].high


def test_few_rows_or_windows():
    rng = np.random.default_rng(3)
    assert fitted(rng, days=1, rows=150)[0] is None
    model, bins = fitted(rng, days=3)
    found = estimated(model, bins, day(rng)[0])["mae"]
    assert np.isfinite(found.value)
    assert np.isnan(found.low)


def test_a_profile_of_other_bins_is_not_estimated():
    rng = np.random.default_rng(4)
    model, _ = fitted(rng)
    _, others = fitted(rng, shift=3.0)
    assert estimated(model, others, day(rng)[0]) == {}


def test_it_survives_its_bytes():
    model, bins = fitted(np.random.default_rng(5))
    columns = day(np.random.default_rng(6))[0]
    again = LossModel.from_bytes(model.to_bytes())
    assert estimated(again, bins, columns) == estimated(model, bins, columns)
