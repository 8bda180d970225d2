"""Every metric against brute force on its rows written out, for any resample of blocks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from mlreg.controller.domain.metrics import (
    OF_TASK,
    WATCHED_OF_TASK,
    Options,
    Rows,
    bounds_of,
    greater_is_better,
    measure,
)

BLOCKS = 4
ONCE = np.ones((1, BLOCKS))


def rows_of(seed, *, size=120, classes=2, positives=0.3):
    rng = np.random.default_rng(seed)
    if classes == 2:
        labels = (rng.random(size) < positives).astype(float)
    else:
        labels = rng.integers(0, classes, size).astype(float)
    return rng, Rows(labels, np.ones(size), rng.integers(0, BLOCKS, size), BLOCKS)


def written_out(rows, scores, counts):
    times = counts[rows.blocks].astype(int)
    return np.repeat(rows.labels, times), np.repeat(scores, times, axis=0)


def value_of(metric, labels, scores, options=None, **fields):
    """The metric of rows of one block."""
    size = len(labels)
    rows = Rows(np.asarray(labels, float), np.ones(size), np.zeros(size, np.intp), 1, **fields)
    found = measure(metric, rows, np.asarray(scores, float), options or Options())
    return found.values(np.ones((1, 1)))[0]


def brute_decided(metric, labels, decisions):
    counts = {
        pair: sum(
            (label > 0, bool(one)) == pair for label, one in zip(labels, decisions, strict=True)
        )
        for pair in itertools.product((True, False), repeat=2)
    }
    hits, missed, false = counts[True, True], counts[True, False], counts[False, True]
    precision = hits / (hits + false) if hits + false else math.nan
    recall = hits / (hits + missed) if hits + missed else math.nan
    if metric == "f1":
        return 2 * hits / (2 * hits + missed + false) if hits + missed + false else math.nan
    right = hits + counts[False, False]
    return {"precision": precision, "recall": recall, "accuracy": right / len(labels)}[metric]


def brute_auc(labels, scores):
    positive, ranks = labels > 0, rankdata(scores)
    p, n = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - p * (p + 1) / 2) / (p * n) if p and n else math.nan


def same(found, expected):
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    metric=st.sampled_from(["accuracy", "f1", "precision", "recall"]),
    threshold=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.1]),
)
def test_decisions_are_counted(seed, metric, threshold):
    rng, rows = rows_of(seed, size=40)
    scores = rng.integers(0, 5, 40) / 4
    draws = rng.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), size=3).astype(float)
    found = measure(metric, rows, scores, Options(threshold=threshold)).values(draws)
    for draw, value in zip(draws, found, strict=True):
        labels, drawn = written_out(rows, scores, draw)
        if len(labels):
            same(value, brute_decided(metric, labels, drawn >= threshold))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    metric=st.sampled_from(["log_loss", "brier", "accuracy", "macro_f1", "macro_auc"]),
)
def test_class_metrics_of_a_resample_are_those_of_its_rows_written_out(seed, metric):
    rng, rows = rows_of(seed, size=50, classes=3)
    scores = rng.dirichlet([1.0, 1.0, 1.0], 50)
    draws = rng.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), size=3).astype(float)
    found = measure(metric, rows, scores).values(draws)
    for draw, value in zip(draws, found, strict=True):
        labels, drawn = written_out(rows, scores, draw)
        same(value, brute_classes(metric, labels, drawn))


def brute_classes(metric, labels, scores):
    chosen = scores.argmax(axis=1)
    if metric == "log_loss":
        return -np.mean(
            [math.log(row[int(label)]) for row, label in zip(scores, labels, strict=True)]
        )
    if metric == "brier":
        return np.square(scores - np.eye(3)[labels.astype(int)]).sum(axis=1).mean() / 2
    if metric == "accuracy":
        return np.mean(chosen == labels)
    if metric == "macro_f1":
        each = [brute_decided("f1", labels == one, chosen == one) for one in range(3)]
    else:
        each = [brute_auc((labels == one).astype(float), scores[:, one]) for one in range(3)]
    return np.mean([one for one in each if not math.isnan(one)])


def test_class_probabilities_are_made_to_sum_to_one():
    scores = np.array([[2.0, 1.0, 1.0], [0.0, 0.0, 4.0]])
    same(value_of("log_loss", [0, 2], scores), -math.log(0.5) / 2)


def test_mape_leaves_out_labels_of_zero():
    same(value_of("mape", [0.0, 2.0, -4.0], [1.0, 3.0, -3.0]), (0.5 + 0.25) / 2)
    assert math.isnan(value_of("mape", [0.0, 0.0], [1.0, 1.0]))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_pinball_is_least_at_the_quantile(quantile):
    labels = np.random.default_rng(0).exponential(size=20_001)
    wanted = np.quantile(labels, quantile)
    losses = [
        value_of("pinball", labels, np.full(len(labels), wanted * step), Options(quantile=quantile))
        for step in (0.9, 1.0, 1.1)
    ]
    assert losses[1] == min(losses)
    same(value_of("pinball", [1.0, 3.0], [2.0, 2.0], Options(quantile=0.9)), (0.1 + 0.9) / 2)


def test_bias_is_mean_score_minus_mean_label():
    same(value_of("bias", [1.0, 0.0], [0.9, 0.3]), 0.1)
    same(value_of("bias", [10.0, 20.0], [8.0, 18.0]), -2.0)


class TestCalibrationError:
    def test_is_the_gap_of_each_bin(self):
        labels = np.array([0, 0, 0, 1, 1, 1, 1, 0] * 15, float)
        scores = np.array([0.1] * 4 + [0.9] * 4)[np.arange(120) % 8]
        same(value_of("calibration_error", labels, scores), 0.15)

    def test_of_calibrated_scores_is_what_chance_makes(self):
        rng = np.random.default_rng(1)
        scores = rng.random(200_000)
        labels = (rng.random(200_000) < scores).astype(float)
        assert value_of("calibration_error", labels, scores) < 0.005
        assert value_of("calibration_error", labels, scores**2) == pytest.approx(1 / 6, abs=0.01)

    def test_of_equal_scores_is_their_bias(self):
        same(value_of("calibration_error", [1, 0, 0, 0], [0.5] * 4), 0.25)

    def test_of_a_resample_keeps_the_bins_of_all_rows(self):
        rng, rows = rows_of(3, size=600)
        scores = rng.random(600)
        edges = np.quantile(scores, np.arange(1, 15) / 15)
        draw = np.array([2.0, 0.0, 1.0, 1.0])
        labels, drawn = written_out(rows, scores, draw)
        place = np.searchsorted(edges, drawn)
        gaps = [abs((labels - drawn)[place == one].sum()) for one in range(15)]
        found = measure("calibration_error", rows, scores).values(draw[None])[0]
        same(found, sum(gaps) / len(labels))


def dcg(labels, at):
    return sum((2**label - 1) / math.log2(place + 2) for place, label in enumerate(labels[:at]))


class TestRanking:
    GROUPS = np.array([0, 0, 0, 1, 1, 2, 2])
    LABELS = np.array([3.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0])
    SCORES = np.array([0.5, 0.9, 0.1, 0.3, 0.2, 0.9, 0.8])

    def test_ndcg(self):
        first = dcg([0, 3, 1], 10) / dcg([3, 1, 0], 10)
        second = dcg([0, 2], 10) / dcg([2, 0], 10)
        found = value_of("ndcg", self.LABELS, self.SCORES, groups=self.GROUPS)
        same(found, (first + second) / 2)

    def test_ndcg_of_the_first_place(self):
        found = value_of("ndcg", self.LABELS, self.SCORES, Options(at=1), groups=self.GROUPS)
        same(found, 0.0)

    def test_mrr(self):
        same(value_of("mrr", self.LABELS, self.SCORES, groups=self.GROUPS), (1 / 2 + 1 / 2) / 2)

    def test_rows_of_equal_score_share_their_gains(self):
        labels = np.array([1.0, 0.0, 0.0])
        orders = [dcg(order, 2) for order in itertools.permutations(labels)]
        found = value_of("ndcg", labels, np.zeros(3), Options(at=2), groups=np.zeros(3, np.intp))
        same(found, np.mean(orders) / dcg([1, 0, 0], 2))

    def test_a_perfect_order_is_one(self):
        for metric in ("ndcg", "map", "mrr"):
            same(value_of(metric, self.LABELS, self.LABELS, groups=self.GROUPS), 1.0)

    def test_the_order_of_rows_does_not_matter(self):
        rng = np.random.default_rng(4)
        groups = rng.integers(0, 30, 200)
        labels, scores = rng.integers(0, 4, 200).astype(float), rng.integers(0, 6, 200) / 6
        shuffled = rng.permutation(200)
        for metric in ("ndcg", "map", "mrr"):
            same(
                value_of(metric, labels[shuffled], scores[shuffled], groups=groups[shuffled]),
                value_of(metric, labels, scores, groups=groups),
            )

    def test_a_group_counts_in_the_block_of_its_first_row(self):
        rows = Rows(self.LABELS, np.ones(7), np.array([0, 0, 1, 1, 1, 1, 1]), 2, self.GROUPS)
        found = measure("mrr", rows, self.SCORES).values(np.array([[1.0, 0.0], [0.0, 1.0]]))
        same(found, [1 / 2, 1 / 2])
        same(measure("mrr", rows.where(rows.groups == 0), self.SCORES[:3]).values(ONCE[:, :2]), 0.5)


def test_no_rows_have_no_metric():
    for metrics in WATCHED_OF_TASK.values():
        for metric in metrics:
            shape = (0, 3) if metric.startswith("macro") else (0,)
            assert math.isnan(value_of(metric, np.empty(0), np.empty(shape)))


def test_every_metric_that_compares_has_a_better_end():
    assert {name for name in sum(OF_TASK.values(), ()) if greater_is_better(name)} == {
        *("auc", "accuracy", "f1", "precision", "recall"),
        *("macro_f1", "macro_auc", "ndcg", "map", "mrr"),
    }
    assert "bias" not in sum(OF_TASK.values(), ())
    assert bounds_of("auc") == (0.0, 1.0)
    assert bounds_of("log_loss") == (0.0, math.inf)
    assert bounds_of("bias") == (-math.inf, math.inf)
