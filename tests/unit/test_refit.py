"""New leaves on old trees: those that LightGBM's own refit gives, for every objective."""

import re
from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from mlreg.controller.domain.objectives import OBJECTIVES
from mlreg.controller.trainers import boosters
from mlreg.controller.trainers.errors import ParentMismatchError
from mlreg.controller.trainers.lightgbm import LightGBMTrainer
from mlreg.controller.trainers.trainer import StoredModel, TrainingTask
from mlreg.registry.domain.contracts import FeatureContract

CONTRACT = FeatureContract.from_json(
    [
        {"name": "x", "dtype": "float"},
        {"name": "flat", "dtype": "float"},
        {"name": "c", "dtype": "category", "categories": ["a", "b", "d"]},
    ]
)
EVERY = [(task, {"objective": one}) for task, names in OBJECTIVES.items() for one in names]
OTHERS = [
    ("binary", {"monotone_constraints": [1, 0, 0], "lambda_l1": 0.1, "lambda_l2": 3.0}),
    ("regression", {"max_bin_by_feature": [20, 3, 5]}),
    ("binary", {"bagging_fraction": 0.5, "bagging_freq": 1, "extra_trees": True}),
]


def a_task(task, params, seed):
    rng = np.random.default_rng(seed)
    size = 400
    matrix = np.column_stack([rng.normal(size=size), np.ones(size), rng.integers(0, 3, size)])
    matrix[rng.random(size) < 0.1, 0] = np.nan
    raw = np.nan_to_num(matrix[:, 0]) + matrix[:, 2] + rng.normal(size=size) * 0.3
    labels = {
        "binary": (raw > 1).astype(float),
        "multiclass": np.digitize(raw, [0.5, 1.5]).astype(float),
        "regression": np.exp(raw / 2) + 0.1,
        "ranking": np.digitize(raw, [0.0, 1.0, 2.0]).astype(float),
    }[task]
    return TrainingTask(
        task=task, contract=CONTRACT, matrix=matrix, labels=labels,
        weights=rng.uniform(0.5, 2, size), lane="full", params={"num_leaves": 7, **params},
        rounds=9, max_trees=None, decay_rate=0.3, seed=1, threads=1,
        classes=3 if task == "multiclass" else 1,
        groups=np.repeat(np.arange(40), 10) if task == "ranking" else None,
    )  # fmt: skip


def trees_of(text):
    return text[text.index("Tree=0") : text.index("end of trees")]


@pytest.mark.parametrize(("task", "params"), [*EVERY, *OTHERS])
def test_the_leaves_are_those_of_lightgbms_own_refit(tmp_path, monkeypatch, task, params):
    monkeypatch.setattr(boosters, "_MOST_LEAVES", 1_000)  # several parts of the rows
    trainer, first = LightGBMTrainer(), a_task(task, params, 1)
    trainer.train(first, tmp_path / "first")
    later = replace(
        a_task(task, params, 2), lane="refit", parent=StoredModel(tmp_path / "first", CONTRACT)
    )
    used = trainer.train(later, tmp_path / "second").params
    made = (tmp_path / "second").read_text()
    own = lightgbm.Booster(model_file=tmp_path / "first").refit(
        later.matrix,
        later.labels,
        decay_rate=0.3,
        weight=later.weights,
        group=None if later.groups is None else [10] * 40,
        feature_name=list(CONTRACT.names),
        categorical_feature=[2],
        dataset_params={name: one for name, one in used.items() if name != "rounds"},
    )
    assert trees_of(made) == trees_of(own.model_to_string())
    before = (tmp_path / "first").read_text()
    assert trees_of(made) != trees_of(before)
    ranges = re.compile("^feature_infos=.*$", re.MULTILINE)
    assert ranges.findall(made) == ranges.findall(before)


def test_a_refit_can_be_continued(tmp_path):
    trainer, first = LightGBMTrainer(), a_task("binary", {}, 1)
    trainer.train(first, tmp_path / "first")
    for lane, before, after in (("refit", "first", "second"), ("continue", "second", "third")):
        parent = StoredModel(tmp_path / before, CONTRACT)
        trainer.train(replace(first, lane=lane, parent=parent), tmp_path / after)
    second, third = ((tmp_path / name).read_text() for name in ("second", "third"))
    assert trees_of(third).startswith(trees_of(second).rstrip())
    assert third.count("Tree=") == 2 * second.count("Tree=")


def test_trees_that_were_smoothed_are_not_refitted(tmp_path):
    trainer, first = LightGBMTrainer(), a_task("binary", {"path_smooth": 1.0}, 1)
    trainer.train(first, tmp_path / "first")
    parent = StoredModel(tmp_path / "first", CONTRACT)
    with pytest.raises(ParentMismatchError, match="path_smooth"):
        trainer.train(replace(first, lane="refit", parent=parent), tmp_path / "second")
