from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from mlreg.controller.domain.metrics import Rows, measure


def rows_of(rng, size=400, blocks=5, weighted=False):
    labels = (rng.random(size) < 0.3).astype(float)
    weights = rng.random(size) + 0.1 if weighted else np.ones(size)
    return Rows(labels, weights, rng.integers(0, blocks, size), blocks)


def auc(labels, scores):
    """Mann-Whitney by midranks."""
    ranks = rankdata(scores)
    positive = labels > 0
    p, n = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - p * (p + 1) / 2) / (p * n)


def written_out(rows, scores, counts):
    """The rows of a draw, written out again and again."""
    times = counts[rows.blocks].astype(int)
    return np.repeat(rows.labels, times), np.repeat(scores, times)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([2, 7, 1000]), blocks=st.integers(1, 9))
def test_the_auc_of_a_resample_is_that_of_its_rows_written_out(seed, levels, blocks):
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, blocks=blocks)
    scores = rng.integers(0, levels, len(rows)) / levels
    counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=4).astype(float)
    found = measure("auc", rows, scores).values(counts)
    for draw, value in zip(counts, found, strict=True):
        labels, drawn = written_out(rows, scores, draw)
        if 0 < labels.sum() < len(labels):
            assert value == pytest.approx(auc(labels, drawn), abs=1e-12)
        else:
            assert np.isnan(value)


def test_the_weighted_auc_is_the_share_of_weighted_pairs():
    rng = np.random.default_rng(1)
    rows = rows_of(rng, size=60, weighted=True)
    scores = rng.integers(0, 9, 60).astype(float)
    positive, negative = rows.labels > 0, rows.labels == 0
    higher = np.subtract.outer(scores[positive], scores[negative])
    pairs = np.multiply.outer(rows.weights[positive], rows.weights[negative])
    expected = (((higher > 0) + (higher == 0) / 2) * pairs).sum() / pairs.sum()
    assert measure("auc", rows, scores).values(np.ones((1, 5)))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "loss"),
    [
        ("log_loss", lambda y, s: -np.mean(y * np.log(s) + (1 - y) * np.log(1 - s))),
        ("brier", lambda y, s: np.mean((y - s) ** 2)),
        ("rmse", lambda y, s: np.sqrt(np.mean((y - s) ** 2))),
        ("mae", lambda y, s: np.mean(np.abs(y - s))),
    ],
)
def test_a_mean_loss_of_a_resample_is_that_of_its_rows_written_out(metric, loss):
    rng = np.random.default_rng(2)
    rows = rows_of(rng)
    scores = rng.uniform(0.01, 0.99, len(rows))
    counts = rng.multinomial(5, np.full(5, 0.2), size=20).astype(float)
    for draw, value in zip(counts, measure(metric, rows, scores).values(counts), strict=True):
        assert value == pytest.approx(loss(*written_out(rows, scores, draw)))


def test_log_loss_of_certain_and_wrong_is_finite():
    rows = Rows(np.array([1.0, 0.0]), np.ones(2), np.zeros(2, dtype=int), 1)
    value = measure("log_loss", rows, np.array([0.0, 1.0])).values(np.ones((1, 1)))[0]
    assert 30 < value < 40


def test_a_slice_keeps_its_blocks():
    rng = np.random.default_rng(3)
    rows = rows_of(rng)
    mask = rng.random(len(rows)) < 0.5
    scores = rng.random(len(rows))
    part = rows.where(mask)
    value = measure("auc", part, scores[mask]).values(np.ones((1, 5)))[0]
    assert value == pytest.approx(auc(rows.labels[mask], scores[mask]))
