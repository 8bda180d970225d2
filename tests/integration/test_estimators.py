"""scikit-learn's estimators, each: those that policies may name train, the others could not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mlreg.controller.domain.estimators import TREES_OF_NEIGHBOURS, estimator_problem
from mlreg.controller.trainers import sklearn as room
from mlreg.controller.trainers.errors import TrainingFailedError, TrainingParameterError
from mlreg.controller.trainers.trainer import StoredModel, TrainingTask
from mlreg.registry.domain.contracts import Feature, FeatureContract

CONTRACT = FeatureContract(tuple(Feature(name=name, dtype="float") for name in "ab"))
MATRIX = np.random.default_rng(7).normal(size=(60, 2))
NEEDS = {"CategoricalNB", "ComplementNB", "MultinomialNB", "IsotonicRegression"}
"""Those that take counts, or one feature, alone: it depends on the rows."""
ONE_COMPONENT = {"CCA", "PLSCanonical"}


def train(folder, name, path, params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_regression = path[0]
        labels = np.abs(MATRIX[:, 0]) + 1 if is_regression else (MATRIX[:, 0] > 0) * 1.0
        task = TrainingTask(
            task="regression" if is_regression else "binary",
            contract=CONTRACT,
            matrix=MATRIX,
            labels=labels,
            weights=None,
            lane="full",
            params=params,
            rounds=1,
            max_trees=None,
            decay_rate=0.9,
            seed=1,
            threads=1,
            estimator=f"{path[1]}.{name}",
            classes=1 if is_regression else 2,
        )
        trainer, model = room.SklearnTrainer(), folder / name
        trainer.train(task, model)
        return trainer.score(StoredModel(model, CONTRACT), MATRIX, threads=1)


def public(kind):
    """Return the module that a class is imported from, without the private files."""
    parts = kind.__module__.split(".")
    return ".".join(parts[: next((i for i, one in enumerate(parts) if one[0] == "_"), 2)][:2])


def estimators():
    from sklearn.utils import all_estimators

    for of, is_regression in (("classifier", False), ("regressor", True)):
        for name, kind in all_estimators(type_filter=of):
            yield name, (is_regression, public(kind))


def test_neighbours_are_found_without_trees(tmp_path):
    path = (False, "sklearn.neighbors")
    assert np.isfinite(train(tmp_path, "KNeighborsClassifier", path, {})).all()
    with pytest.raises(TrainingParameterError, match="say algorithm: brute"):
        train(tmp_path, "KNeighborsRegressor", (True, path[1]), {"algorithm": "ball_tree"})


@pytest.mark.nightly
def test_what_nothing_is_known_against_can_be_trained(tmp_path):
    for name, path in estimators():
        params = {"n_components": 1} if name in ONE_COMPONENT else {}
        if name not in NEEDS and not estimator_problem(name, params):
            assert np.isfinite(train(tmp_path, name, path, params)).all(), name


@pytest.mark.nightly
def test_what_is_refused_could_not_be_trained(tmp_path, monkeypatch):
    asked = [(name, path, {}) for name, path in estimators() if estimator_problem(name, {})]
    neighbours = ("KNeighborsClassifier", (False, "sklearn.neighbors"))
    asked += [(*neighbours, {"algorithm": one}) for one in sorted(TREES_OF_NEIGHBOURS)]
    monkeypatch.setattr(room, "estimator_problem", lambda *_: "")
    assert len(asked) > 25
    for name, path, params in asked:
        with pytest.raises((TrainingParameterError, TrainingFailedError)):
            train(tmp_path, name, path, params)
