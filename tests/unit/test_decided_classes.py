"""The score of a model of several classes, in profiles and monitors: the class it decides for."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.drift import yardstick_of
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.feedback.columns import profile_table
from mlreg.controller.monitors.drift import DriftMonitor
from mlreg.controller.monitors.monitor import WindowView
from mlreg.controller.monitors.volume import VolumeMonitor
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json(
    {"features": [{"name": "temp", "dtype": "float"}], "format": 1}
)
RNG = np.random.default_rng(1)
LABELS = np.repeat([0.0, 1.0, 2.0], 100)
BINS = make_bins({"temp": RNG.normal(0, 1, 300), "label": LABELS}, CONTRACT)
SCORES = pa.list_(pa.float64())


def rows(classes, scores=None):
    """Rows whose highest score is that of these classes."""
    scored = np.full((len(classes), 3), 0.2)
    scored[np.arange(len(classes)), classes] = 0.6
    scores = scored.tolist() if scores is None else scores
    return pa.table({"temp": RNG.normal(0, 1, len(classes)), "scores": pa.array(scores, SCORES)})


def counts(table):
    column = profile_table(table, BINS).column("score")
    return column.known, column.counts[column.counts > 0].tolist()


def test_the_class_with_the_highest_score_is_counted():
    assert counts(rows([0] * 5 + [1] * 3 + [2] * 9)) == (17, [5, 3, 9])


def test_rows_without_scores_have_no_class():
    assert counts(rows([0, 1], [None, [0.1, 0.2, 0.7]])) == (1, [1])
    assert counts(rows([0, 1], [None, None])) == (0, [])
    assert counts(rows([0, 1]).drop_columns(["scores"])) == (0, [])


def test_prediction_drift_is_that_of_the_classes():
    before, now = (
        profile_table(rows(one), BINS) for one in ([0] * 50 + [1] * 50, [0] * 90 + [2] * 10)
    )
    view = WindowView(now, before, decides=True)
    found = {one.monitor: one.value for one in DriftMonitor().read(view) if one.subject == "score"}
    shares = np.array([[0.5, 0.5, 0.0], [0.9, 0.0, 0.1]])
    middle = shares.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log2(shares / middle), 0.0)
    assert found["score_jensen_shannon"] == pytest.approx(np.sqrt(terms.sum() / 2), abs=0.01)
    assert found["score_psi"] > 1


def test_the_mean_class_is_no_reading():
    profile = profile_table(rows([0, 1, 2]), BINS)
    read = VolumeMonitor().read
    assert [one.monitor for one in read(WindowView(profile, None, decides=True))] == ["rows"]
    assert [one.monitor for one in read(WindowView(profile, None))] == ["rows", "score_mean"]


def test_windows_without_any_score_are_no_past_of_the_score():
    """Rows that were logged before anything scored; 21 of them hid every drift for weeks."""
    before = profile_table(rows([0] * 50 + [1] * 50), BINS)
    unscored = profile_table(rows([0] * 50).drop_columns(["scores"]), BINS)
    windows = ProfileStack.of([unscored, before], BINS)
    measured = yardstick_of(before).measure(windows)
    for size in ("psi", "jensen_shannon"):
        assert measured.series(size, "score") == [None, pytest.approx(0.0, abs=0.01)]
        assert None not in measured.series(size, "temp")
