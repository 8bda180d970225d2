"""What a child process does to tell a window from the training rows (`domain/joint_shift.py`).

In its folder it finds `rows.npz`: `matrix` (rows, features; categories as codes, missing as
not-a-number), `is_window` (rows), `categories` (places of categorical features), `names`, `seed`.
It writes `result.json`, as every child does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np

from mlreg.controller.domain.joint_shift import FOLDS, JointShift, fold_of, shift_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROWS, RESULT = "rows.npz", "result.json"
ROUNDS = 40
PARAMS = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "max_cat_to_onehot": 8,
    "cat_smooth": 50,
    "num_threads": 2,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def tell_apart(folder: Path) -> None:
    """Fit a classifier of window against training, cross-fitted, and write what it found."""
    with np.load(folder / ROWS) as stored:
        names = [str(name) for name in stored["names"]]
        found = _shift(
            stored["matrix"],
            stored["is_window"],
            names,
            [int(place) for place in stored["categories"]],
            int(stored["seed"]),
        )
    result = {
        "outcome": "done",
        "auc": found.auc,
        "low": found.low,
        "high": found.high,
        "culprits": [list(one) for one in found.culprits],
    }
    (folder / RESULT).write_text(json.dumps(result))


def _shift(
    matrix: Floats,
    is_window: NDArray[np.bool_],
    names: list[str],
    categories: list[int],
    seed: int,
) -> JointShift:
    folds = fold_of(len(matrix), np.random.default_rng(seed))
    scores, gains = np.empty(len(matrix)), np.zeros(len(names))
    target = is_window.astype(np.float64)
    balance = np.where(is_window, 1.0, is_window.sum() / max((~is_window).sum(), 1))
    for fold in range(FOLDS):
        others = folds != fold
        rows = lgb.Dataset(
            matrix[others],
            target[others],
            weight=balance[others],
            categorical_feature=categories,
            params={"verbosity": -1},
        )
        model = lgb.train({**PARAMS, "seed": seed}, rows, ROUNDS)
        scores[~others] = model.predict(matrix[~others], num_threads=2)
        gains += model.feature_importance("gain")
    return shift_of(is_window, scores, dict(zip(names, gains.tolist(), strict=True)))
