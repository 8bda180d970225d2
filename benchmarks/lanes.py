"""Stateful against stateless on a drifting stream: seconds and log loss side by side, by lane.

A first model is trained on a million rows of 20 features (`MLREG_BENCH_ROWS`). Then the relation of
features and label turns a little, and each lane makes the next model: full on the newest million
rows; refit (same trees, new leaves) and continue (more trees on top) on what came since, a
twentieth of them, which is what stateful lanes are for, and on all of them. All are scored on fresh
rows. Trained by the trainer that runs use, a thread each, processor seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.report import report
from mlreg.controller.domain.metrics import row_losses
from mlreg.controller.trainers.lightgbm import LightGBMTrainer
from mlreg.controller.trainers.trainer import StoredModel, TrainingTask
from mlreg.registry.domain.contracts import FeatureContract

ROWS = int(os.environ.get("MLREG_BENCH_ROWS", "1000000"))
FEATURES, ROUNDS, ADDED, SHARE, JUDGED = 20, 200, 20, 20, 100_000
TURN = 0.15
"""How far the relation turns between the first model and the next, in radians."""
NAMES = [f"x{place}" for place in range(FEATURES)]


def draw(rng: np.random.Generator, rows: int, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose label is by two features, as far as these have turned, and two more."""
    matrix = rng.normal(size=(rows, FEATURES))
    signal = 1.5 * (matrix[:, 0] * np.cos(turn) + matrix[:, 1] * np.sin(turn))
    signal += matrix[:, 2] * matrix[:, 3]
    return matrix, (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(float)


def task_of(matrix: np.ndarray, labels: np.ndarray) -> TrainingTask:
    """Return a full training of these rows."""
    return TrainingTask(
        task="binary",
        contract=FeatureContract.from_json([{"name": one, "dtype": "float"} for one in NAMES]),
        matrix=matrix,
        labels=labels,
        weights=None,
        lane="full",
        params={"num_leaves": 31, "learning_rate": 0.1},
        rounds=ROUNDS,
        max_trees=None,
        decay_rate=0.5,
        seed=7,
        threads=1,
    )


def measure() -> dict[str, float]:
    """Train the first model, then the next by each lane."""
    rng, trainer = np.random.default_rng(7), LightGBMTrainer()
    before, after = draw(rng, ROWS, 0.0), draw(rng, ROWS, TURN)
    some = after[0][-ROWS // SHARE :], after[1][-ROWS // SHARE :]
    judged = draw(rng, JUDGED, TURN)
    with (
        tempfile.TemporaryDirectory(prefix="mlreg-lanes-") as name,
        Path(os.devnull).open("w", encoding="utf-8") as sink,
        redirect_stdout(sink),
    ):
        folder = Path(name)
        first = task_of(*before)
        trainer.train(first, folder / "first")
        parent = StoredModel(folder / "first", first.contract)
        tasks = {
            "full": task_of(*after),
            "refit": replace(task_of(*some), lane="refit", parent=parent),
            "continue": replace(task_of(*some), lane="continue", parent=parent, rounds=ADDED),
            "refit on all": replace(task_of(*after), lane="refit", parent=parent),
            "continue on all": replace(
                task_of(*after), lane="continue", parent=parent, rounds=ADDED
            ),
        }
        found = {"log loss, the old model": _loss(trainer, parent, judged)}
        for lane, task in tasks.items():
            place = lane.replace(" ", "-")
            began = time.process_time()
            trainer.train(task, folder / place)
            found[f"seconds, {lane}"] = time.process_time() - began
            model = StoredModel(folder / place, task.contract)
            found[f"log loss, {lane}"] = _loss(trainer, model, judged)
    for lane in list(tasks)[1:]:
        found[f"times cheaper, {lane}"] = found["seconds, full"] / found[f"seconds, {lane}"]
        worse = found[f"log loss, {lane}"] - found["log loss, full"]
        found[f"log loss above full, {lane}"] = worse
    return found


def _loss(
    trainer: LightGBMTrainer, model: StoredModel, judged: tuple[np.ndarray, np.ndarray]
) -> float:
    scores = trainer.score(model, judged[0], threads=1)
    return float(row_losses("log_loss", judged[1], scores).mean())


TARGETS = {
    "times cheaper, refit": (">=", 20.0),
    "times cheaper, continue": (">=", 5.0),
    "log loss above full, refit": ("<=", 0.002),
    "log loss above full, continue": ("<=", 0.002),
}

if __name__ == "__main__":
    report(measure, TARGETS)
