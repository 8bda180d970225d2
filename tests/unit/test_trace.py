"""Tracing a model by its first trees: the last point is the whole model, for every objective."""

import numpy as np
import pytest

from mlreg.controller.trainers.lightgbm import LightGBMTrainer
from mlreg.controller.trainers.trainer import StoredModel, TrainingTask
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json([{"name": "x", "dtype": "float"}])


@pytest.mark.parametrize(
    ("task", "params"),
    [
        ("binary", {"sigmoid": 2.0}),
        ("regression", {}),
        ("regression", {"reg_sqrt": True}),
        ("regression", {"objective": "poisson"}),
        ("regression", {"objective": "tweedie"}),
        ("regression", {"objective": "quantile", "alpha": 0.3}),
    ],
)
def test_the_last_point_is_the_whole_model(tmp_path, task, params):
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(300, 1))
    labels = np.exp(matrix[:, 0]) + 0.1
    if task == "binary":
        labels = (labels > 1).astype(float)
    asked = TrainingTask(
        task=task, contract=CONTRACT, matrix=matrix, labels=labels, weights=None, lane="full",
        params=params, rounds=25, max_trees=None, decay_rate=0.9, seed=1, threads=1,
    )  # fmt: skip
    trainer = LightGBMTrainer()
    trainer.train(asked, tmp_path / "model.txt")
    model = StoredModel(tmp_path / "model.txt", CONTRACT)
    steps = list(trainer.trace(model, matrix, points=10, threads=1))
    assert [trees for trees, _ in steps] == [3, 6, 9, 12, 15, 18, 21, 24, 25]
    assert steps[-1][1] == pytest.approx(trainer.score(model, matrix, threads=1))
    assert steps[0][1] != pytest.approx(steps[-1][1])
