"""Intervals of one window's metrics: how often they hold the truth, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from mlreg.controller.domain.confidence import window_blocks
from mlreg.controller.domain.performance import LabelledWindow, measure_window

START = np.datetime64("2013-07-01T00:00", "us")
HOUR = np.timedelta64(1, "h")


def window_of(rng, *, rows=600, hours=24, hour_effect=0.0, quality=1.0):
    """Rows of some hours; an hour shifts how likely all its labels are, unknown to the model."""
    times = START + (np.sort(rng.random(rows)) * hours * 3.6e9).astype("timedelta64[us]")
    hour = ((times - START) // HOUR).astype(int)
    signal = rng.normal(size=rows)
    chance = 1 / (1 + np.exp(-quality * signal - rng.normal(0, hour_effect, hours)[hour]))
    labels = (rng.random(rows) < chance).astype(float)
    return LabelledWindow(labels, 1 / (1 + np.exp(-signal)), np.ones(rows), times)


def found_of(window, seed=0, task="binary"):
    return {one.metric: one for one in measure_window(task, window, np.random.default_rng(seed))}


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """200 windows with hour effects: nominal 95 %, at least 90 % (its own error is 1.5 %)."""
    rng = np.random.default_rng(7)
    truth = found_of(window_of(rng, rows=300_000, hours=3_000, hour_effect=0.7))
    held = dict.fromkeys(("auc", "log_loss", "brier", "accuracy", "f1", "bias"), 0)
    for seed in range(200):
        found = found_of(window_of(rng, rows=400, hour_effect=0.7), seed)
        for name in held:
            low, high = found[name].interval
            held[name] += low <= truth[name].value <= high
    assert all(0.90 <= times / 200 <= 0.995 for times in held.values()), held


def test_rows_of_one_hour_are_no_evidence_of_their_own():
    """The interval of blocks is wider than one that takes rows for independent."""
    rng = np.random.default_rng(3)
    window = window_of(rng, rows=4_000, hour_effect=2.0)
    low, high = found_of(window)["bias"].interval
    losses = window.scores - window.labels
    assert high - low > 1.5 * 2 * 1.96 * losses.std() / np.sqrt(len(losses))


@pytest.mark.parametrize(("hours", "blocks"), [(24, 24), (24 * 10, 10), (1, 12), (6, 72)])
def test_blocks_are_the_longest_that_are_enough(hours, blocks):
    rng = np.random.default_rng(0)
    window = window_of(rng, rows=20_000, hours=hours)
    assert window_blocks(window.times)[1] == blocks


def test_too_few_blocks_have_no_interval():
    rng = np.random.default_rng(0)
    window = window_of(rng)
    few = window.where((window.times - START) < 40 * np.timedelta64(1, "m"))
    assert found_of(few)["log_loss"].interval is None
    assert found_of(few)["log_loss"].value is not None


def test_an_interval_stays_where_the_metric_can_go():
    rng = np.random.default_rng(1)
    window = window_of(rng, rows=60, quality=9.0)
    low, high = found_of(window)["auc"].interval
    assert 0.0 <= low < high <= 1.0


def test_skill_has_an_interval_of_its_own():
    found = found_of(window_of(np.random.default_rng(2), rows=5_000))["log_loss"]
    low, high = found.skill_interval
    assert low < found.skill < high
    assert low > 0


def test_one_class_and_no_rows_are_undefined():
    window = window_of(np.random.default_rng(0))
    one_class = window.where(window.labels == 1)
    assert found_of(one_class)["auc"].value is None
    assert found_of(one_class)["log_loss"].value is not None
    empty = window.where(window.labels == 2)
    assert all(one.value is None for one in found_of(empty).values())


def test_multiclass_needs_a_score_for_each_class():
    rng = np.random.default_rng(0)
    times = window_of(rng, rows=300).times
    scores = rng.dirichlet([1, 1, 1], 300)
    labels = np.array([rng.choice(3, p=row) for row in scores], dtype=float)
    window = LabelledWindow(labels, scores, np.ones(300), times)
    found = found_of(window, task="multiclass")
    assert found["log_loss"].skill > 0
    assert found["macro_auc"].interval is not None
    alone = LabelledWindow(labels, scores[:, 0], np.ones(300), times)
    assert all(one.value is None for one in found_of(alone, task="multiclass").values())


def test_the_same_seed_gives_the_same_interval():
    window = window_of(np.random.default_rng(5))
    assert found_of(window, 1)["auc"] == found_of(window, 1)["auc"]
    assert found_of(window, 1)["auc"] != found_of(window, 2)["auc"]
