"""Mistakes: losses, which rows are wrong, and what the scores had promised."""

import numpy as np
import pytest

from mlreg.controller.domain.mistakes import mistakes_of, score_of


def test_wrong_decisions_of_a_binary_model():
    rng = np.random.default_rng(0)
    scores = rng.random(1_000)
    labels = (rng.random(1_000) < scores).astype(float)
    found = mistakes_of("binary", labels, scores, 0.5)
    assert found.split == "decision"
    assert (found.wrong == ((scores >= 0.5) != (labels > 0))).all()
    assert found.losses[0] == pytest.approx(
        -np.log(scores[0] if labels[0] else 1 - scores[0]), rel=1e-9
    )
    assert found.losses.mean() == pytest.approx(found.promised.mean(), abs=0.05)
    overconfident = mistakes_of("binary", 1.0 - labels, scores, 0.5)
    assert overconfident.losses.mean() > overconfident.promised.mean() + 0.3


def test_rare_positives_are_split_by_the_size_of_the_loss():
    labels = np.zeros(400)
    labels[:5] = 1.0
    found = mistakes_of("binary", labels, np.linspace(0.01, 0.2, 400), 0.5)
    assert found.split == "largest losses"
    assert found.wrong[:5].all()
    assert found.wrong.sum() == pytest.approx(100, abs=2)


def test_one_class_has_losses_all_the_same():
    found = mistakes_of("binary", np.ones(100), np.linspace(0.1, 0.9, 100), 0.5)
    assert np.isfinite(found.losses).all()
    assert found.losses[0] == found.losses.max()


def test_scores_of_zero_and_one_promise_no_loss():
    found = mistakes_of("binary", np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.5)
    assert found.promised.tolist() == [0.0, 0.0]
    assert found.losses.max() < 1e-9


def test_several_classes():
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1, 1, 1], 600)
    labels = np.array([rng.choice(3, p=row) for row in scores]).astype(float)
    found = mistakes_of("multiclass", labels, scores, 0.5)
    assert (found.wrong == (scores.argmax(axis=1) != labels)).all()
    assert found.losses.mean() == pytest.approx(found.promised.mean(), abs=0.1)
    assert score_of("multiclass", scores).min() >= 1 / 3


def test_errors_of_a_regression():
    labels, scores = np.arange(100.0), np.zeros(100)
    found = mistakes_of("regression", labels, scores, 0.5)
    assert found.promised is None
    assert found.split == "largest losses"
    assert found.wrong.tolist() == [False] * 75 + [True] * 25
    assert score_of("regression", scores) is scores
