"""Performance estimated before labels, against labels that a simulation knows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlreg.controller.domain.estimation import ScoreCounts, estimate, middles_of
from mlreg.controller.domain.metrics import Rows, measure
from mlreg.controller.domain.outcomes import (
    EVEN_EDGES,
    Outcomes,
    bin_scores,
    binary_outcomes,
    class_outcomes,
)

METRICS = ("auc", "log_loss", "brier", "accuracy", "f1", "precision", "recall")


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def day(rng, *, rows=2_000, shift=0.0, spread=1.0, concept=1.0, day_effect=0.0):
    """Scores that are too sure of themselves, and labels; `concept` turns their meaning."""
    signal = rng.normal(shift, spread, rows)
    chance = sigmoid(concept * signal + rng.normal(0, day_effect))
    return (rng.random(rows) < chance).astype(float), sigmoid(1.8 * signal)


def outcomes_of(labels, scores):
    return binary_outcomes(labels, scores, EVEN_EDGES, 0.5)


def counts_of(scores):
    size = len(EVEN_EDGES) + 1
    counts = np.bincount(bin_scores(scores, EVEN_EDGES), minlength=size)[None]
    return ScoreCounts(counts, middles_of(EVEN_EDGES))


def truth_of(labels, scores):
    rows = Rows(labels, np.ones(len(labels)), np.zeros(len(labels), dtype=np.intp), 1)
    once = np.ones((1, 1))
    return {name: measure(name, rows, scores).values(once)[0] for name in METRICS}


def estimated(history, scores, seed=0):
    rng = np.random.default_rng(seed)
    return {one.metric: one for one in estimate(history, counts_of(scores), rng)}


def test_scores_that_lie_are_calibrated_first():
    rng = np.random.default_rng(0)
    history = [outcomes_of(*day(rng)) for _ in range(10)]
    labels, scores = day(rng, rows=200_000)
    found, truth = estimated(history, scores), truth_of(labels, scores)
    assert set(found) == set(METRICS)
    for name in METRICS:
        assert found[name].value == pytest.approx(truth[name], abs=0.012), name
    trusting = np.mean(np.abs(scores - 0.5)) + 0.5  # what the scores say of their accuracy
    assert trusting - truth["accuracy"] > 0.05


@pytest.mark.parametrize(("shift", "spread"), [(1.0, 1.0), (0.0, 0.4), (-0.8, 1.3)])
def test_it_follows_a_shift_of_the_scores(shift, spread):
    rng = np.random.default_rng(1)
    history = [outcomes_of(*day(rng)) for _ in range(14)]
    before = estimated(history, day(rng, rows=50_000)[1])
    labels, scores = day(rng, rows=100_000, shift=shift, spread=spread)
    found, truth = estimated(history, scores), truth_of(labels, scores)
    for name in ("auc", "log_loss", "brier", "accuracy"):
        assert found[name].value == pytest.approx(truth[name], abs=0.02), name
    assert abs(before["brier"].value - found["brier"].value) > 0.01


@pytest.mark.parametrize("windows", [4, 21])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(windows):
    """150 windows with day effects, as the history has them; 95 % is claimed, 85 % asked for.

    With few windows the day effect itself is not seen, and is left out here.
    """
    rng = np.random.default_rng(2)
    effect = 0.2 if windows > 6 else 0.0
    held = dict.fromkeys(METRICS, 0)
    for seed in range(150):
        history = [outcomes_of(*day(rng, rows=500, day_effect=effect)) for _ in range(windows)]
        labels, scores = day(rng, rows=500)
        found, truth = estimated(history, scores, seed), truth_of(labels, scores)
        for name in METRICS:
            held[name] += found[name].low <= truth[name] <= found[name].high
    assert all(times / 150 >= 0.85 for times in held.values()), held


def test_it_is_blind_to_pure_concept_drift():
    """The same scores, another meaning: the truth falls far, the estimate does not move."""
    rng = np.random.default_rng(3)
    history = [outcomes_of(*day(rng)) for _ in range(14)]
    labels, scores = day(rng, rows=20_000, concept=-0.5)
    found, truth = estimated(history, scores), truth_of(labels, scores)
    assert truth["auc"] < 0.4
    assert found["auc"].low > 0.7  # this is what docs/explanation/delayed-labels.md warns of


def test_too_little_history_is_no_estimate():
    rng = np.random.default_rng(4)
    labels, scores = day(rng, rows=150)
    assert estimated([], scores) == {}
    assert estimated([outcomes_of(labels, scores)], scores) == {}
    ones = np.ones(500)
    assert estimated([outcomes_of(ones, day(rng, rows=500)[1])], scores) == {}
    labels, few = day(rng, rows=2_000)
    assert estimated([outcomes_of(labels, few)], np.empty(0)) == {}


def test_scores_never_seen_lean_on_themselves():
    rng = np.random.default_rng(5)
    labels, scores = day(rng, rows=5_000, shift=-2.0, spread=0.3)
    found = estimated([outcomes_of(labels, scores)], np.full(1_000, 0.97))
    assert found["accuracy"].value == pytest.approx(0.97, abs=0.02)


def test_outcomes_add_up_and_survive_json():
    rng = np.random.default_rng(6)
    labels, scores = day(rng, rows=900)
    whole = outcomes_of(labels, scores)
    first, second = outcomes_of(labels[:400], scores[:400]), outcomes_of(labels[400:], scores[400:])
    merged = Outcomes.from_json(json.loads(json.dumps((first + second).to_json())))
    for name in ("rows", "positives", "hits", "false", "scores", "positive_loss"):
        assert merged[name] == pytest.approx(whole[name], abs=1e-4), name
    assert whole.rows == 900


class TestClasses:
    def rows(self, rng, size, shift=0.0):
        truth = rng.normal(size=(size, 3)) + np.array([shift, 0, 0])
        shares = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
        labels = np.array([rng.choice(3, p=row) for row in shares], dtype=float)
        sure = np.exp(1.6 * truth)
        return labels, sure / sure.sum(axis=1, keepdims=True)

    def counts(self, scores):
        size = len(EVEN_EDGES) + 1
        counts = [np.bincount(bin_scores(one, EVEN_EDGES), minlength=size) for one in scores.T]
        return ScoreCounts(np.stack(counts), middles_of(EVEN_EDGES), None)

    def test_of_several_classes(self):
        rng = np.random.default_rng(7)
        history = [class_outcomes(*self.rows(rng, 1_500)) for _ in range(8)]
        labels, scores = self.rows(rng, 20_000, shift=0.5)
        found = {one.metric: one for one in estimate(history, self.counts(scores), rng)}
        rows = Rows(labels, np.ones(20_000), np.zeros(20_000, dtype=np.intp), 1)
        for name in ("log_loss", "accuracy", "macro_f1", "macro_auc"):
            truth = measure(name, rows, scores).values(np.ones((1, 1)))[0]
            assert found[name].value == pytest.approx(truth, abs=0.03), name
            assert found[name].low <= found[name].value <= found[name].high


def rare_day(rng, rows, base):
    """Labels of which about one in a thousand is positive, and scores twice too sure of it."""
    signal = rng.normal(base, 1.5, rows)
    return (rng.random(rows) < sigmoid(signal)).astype(float), sigmoid(signal + np.log(2.0))


def test_rare_positives_are_estimated_where_nearly_all_scores_are_small():
    """Twenty equal bins have 99.9 % of these scores in one, and see no shift within it."""
    rng = np.random.default_rng(5)
    history = [outcomes_of(*rare_day(rng, 30_000, -8.0)) for _ in range(10)]
    labels, scores = rare_day(rng, 600_000, -7.0)
    assert 5e-4 < history[0]["positives"].sum() / 30_000 < 2e-3
    found, truth = estimated(history, scores), truth_of(labels, scores)
    assert found["log_loss"].value == pytest.approx(truth["log_loss"], rel=0.1)
    assert found["brier"].value == pytest.approx(truth["brier"], rel=0.15)
    assert found["auc"].value == pytest.approx(truth["auc"], abs=0.03)
    expected = np.array([one.table for one in history]).sum(axis=0)
    assert expected.shape[1] == len(EVEN_EDGES) + 1
