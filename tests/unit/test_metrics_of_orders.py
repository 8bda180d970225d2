"""Metrics of orders against scikit-learn, and against every order of rows of equal score."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, log_loss, ndcg_score

from mlreg.controller.domain.metrics import Options, Rows, measure
from mlreg.controller.domain.metrics.priors import constant_scores, prior_of
from mlreg.controller.domain.metrics.ranking import group_values, whole_groups
from mlreg.controller.trainers.rows import tell_gaps


def value_of(metric, labels, scores, groups, at=10, weights=None):
    rows = Rows(
        np.asarray(labels, float),
        np.ones(len(labels)) if weights is None else np.asarray(weights, float),
        np.zeros(len(labels), np.intp),
        1,
        None if groups is None else np.asarray(groups, np.intp),
    )
    found = measure(metric, rows, np.asarray(scores, float), Options(at=at))
    return found.values(np.ones((1, 1)))[0]


def in_order(metric, labels, at):
    """A metric of rows in one order, by its definition."""
    relevant = [place for place, label in enumerate(labels) if label > 0]
    if metric == "mrr":
        return 1 / (relevant[0] + 1)
    if metric == "map":
        hits = [(number + 1) / (place + 1) for number, place in enumerate(relevant) if place < at]
        return sum(hits) / min(len(relevant), at)
    gain = sum((2**label - 1) / math.log2(place + 2) for place, label in enumerate(labels[:at]))
    best = sorted(labels, reverse=True)[:at]
    return gain / sum((2**label - 1) / math.log2(place + 2) for place, label in enumerate(best))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6),
    at=st.integers(1, 7),
    metric=st.sampled_from(["ndcg", "map", "mrr"]),
)
def test_rows_of_equal_score_have_what_their_orders_have_on_average(rows, at, metric):
    labels, scores = zip(*rows, strict=True)
    found = value_of(metric, labels, scores, np.zeros(len(rows)), at)
    if len(set(labels)) == 1:
        assert math.isnan(found)
        return
    orders = [
        order
        for order in itertools.permutations(range(len(rows)))
        if all(scores[one] >= scores[after] for one, after in itertools.pairwise(order))
    ]
    expected = np.mean([in_order(metric, [labels[one] for one in order], at) for order in orders])
    assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), at=st.integers(1, 8), levels=st.sampled_from([3, 1_000_000]))
def test_ndcg_is_that_of_scikit_learn(seed, at, levels):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (5, 7)).astype(float)
    labels[:, 0] = (labels[:, 1] + 1) % 4  # the order of every group can be wrong
    scores = rng.integers(0, levels, (5, 7)).astype(float)
    found = value_of("ndcg", labels.ravel(), scores.ravel(), np.repeat(np.arange(5), 7), at)
    assert found == pytest.approx(ndcg_score(np.exp2(labels) - 1, scores, k=at))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_map_of_all_places_is_the_label_ranking_precision_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (5, 7)).astype(float)
    labels[:, 0] = 1 - labels[:, 1]
    scores = rng.permuted(np.tile(np.arange(7.0), (5, 1)), axis=1)
    found = value_of("map", labels.ravel(), scores.ravel(), np.repeat(np.arange(5), 7), 7)
    assert found == pytest.approx(label_ranking_average_precision_score(labels, scores))


def test_groups_whose_order_cannot_be_wrong_are_left_out():
    groups = [0, 0, 1, 2, 2, 3, 3]
    labels = [1, 0, 3, 0, 0, 2, 2]
    scores = [0.1, 0.9, 0.5, 0.1, 0.2, 0.3, 0.4]
    for metric in ("ndcg", "map", "mrr"):
        alone = value_of(metric, labels[:2], scores[:2], groups[:2])
        assert value_of(metric, labels, scores, groups) == alone < 1
        assert math.isnan(value_of(metric, labels[2:], scores[2:], groups[2:]))
        assert math.isnan(value_of(metric, labels, scores, None))
        assert value_of(metric, labels, scores, [0, 0, -1, -1, -1, -1, -1]) == alone


def test_a_group_counts_with_its_mean_weight_in_its_earliest_block():
    rows = Rows(
        np.array([1.0, 0, 1, 0]),
        np.array([1.0, 3, 1, 1]),
        np.array([1, 0, 1, 1]),
        2,
        np.array([4, 4, 9, 9]),
    )
    found = group_values("mrr", rows, np.array([1.0, 2, 2, 1]))
    assert found.values.tolist() == [0.5, 1.0]
    assert found.weights.tolist() == [2.0, 1.0]
    assert found.blocks.tolist() == [0, 1]


def test_a_torn_group_lies_in_no_slice():
    mask = whole_groups(np.array([True, True, True, False, True]), np.array([7, 7, 3, 3, 1]))
    assert mask.tolist() == [True, True, False, False, True]


def test_scores_that_say_nothing_are_as_good_as_the_prior():
    """Else a gate against the prior would pass what orders by chance."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20_000), 5)
    labels, scores = rng.integers(0, 3, len(groups)), rng.random(len(groups))
    for metric in ("ndcg", "map", "mrr"):
        chance = value_of(metric, labels, scores, groups, 3)
        assert value_of(metric, labels, np.zeros(len(groups)), groups, 3) == pytest.approx(
            chance, abs=0.005
        )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_class_losses_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels, weights = rng.integers(0, 3, 40).astype(float), rng.random(40) + 0.1
    labels[:3] = [0, 1, 2]
    scores = rng.dirichlet([1, 1, 1], 40)
    found = value_of("log_loss", labels, scores, None, weights=weights)
    assert found == pytest.approx(log_loss(labels, scores, sample_weight=weights))
    squares = np.square(scores - np.eye(3)[labels.astype(int)]).sum(axis=1) / 2
    brier = value_of("brier", labels, scores, None, weights=weights)
    assert brier == pytest.approx(np.average(squares, weights=weights))


def test_brier_of_two_classes_is_that_of_the_positive_one():
    rng = np.random.default_rng(1)
    labels, chance = rng.integers(0, 2, 50).astype(float), rng.random(50)
    both = value_of("brier", labels, np.stack([1 - chance, chance], axis=1), None)
    assert both == pytest.approx(value_of("brier", labels, chance, None))


def test_log_loss_is_clipped():
    impossible = value_of("log_loss", [0.0, 2.0], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], None)
    assert impossible == pytest.approx(-math.log(1e-15) / 2)


def test_classes_without_a_row_are_named(capsys):
    several = SimpleNamespace(task="multiclass", classes=("cat", "dog", "fox"))
    tell_gaps(np.array([0.0, 2.0]), several)
    assert capsys.readouterr().out == "no row has the class 'dog': the model learns nothing of it\n"
    tell_gaps(np.array([0.0, 1.0, 2.0]), several)
    tell_gaps(np.array([1.0]), SimpleNamespace(task="binary", classes=("no", "yes")))
    assert capsys.readouterr().out == ""


def test_the_prior_of_classes_are_their_shares_by_weight():
    rows = Rows(np.array([0.0, 1, 1]), np.array([2.0, 1, 1]), np.zeros(3, np.intp), 1)
    assert prior_of("multiclass", rows, 3) == (0.5, 0.5, 0.0)
    assert constant_scores((0.5, 0.5, 0.0), 2).tolist() == [[0.5, 0.5, 0.0]] * 2
    assert prior_of("regression", rows, 1) == 0.5
