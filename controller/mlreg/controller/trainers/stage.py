"""What a training leaves beside its model: the loss by number of trees, and how the hold-out did.

The hold-out are the rows of the evaluation window: a run freezes them before it trains, and neither
this model nor its parent was trained on one of them. Written into `stage/`:

- `loss_curve.csv`: after so many trees, the loss on rows of the training (`train log_loss`, or
  `train rmse`) and on the hold-out (`holdout …`), of at most `CURVE_ROWS` rows each, evenly spread;
- `holdout.parquet`: prediction_id, time, label, weight and score of at most `MAX_KEPT_ROWS` of its
  labelled rows, evenly spread;
- `hyperparameters.json`: every parameter and seed that was used.

What always holds: the model is finished before, and nothing here changes it; metrics are of the
hold-out and never of rows that were trained on; a hold-out that cannot be measured is a line in the
log, and no failure of the training.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlreg.client.scoring.encoding import encode
from mlreg.client.scoring.errors import ScoringError
from mlreg.controller.domain.metrics import (
    OF_TASK,
    Rows,
    measure,
    row_losses,
)
from mlreg.controller.trainers.errors import TrainingRowsError
from mlreg.controller.trainers.rows import (
    LABEL,
    TIME,
    WEIGHT,
    check_labels_of_task,
    groups_of,
    numbers,
    read_table,
    weights_of,
)
from mlreg.controller.trainers.scores import Outputs, checked_scores, outputs_of, score_column
from mlreg.controller.trainers.trainer import (
    StoredModel,
    Traced,
    Trained,
    Trainer,
    TrainingTask,
)
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlreg.controller.domain.metrics import MetricName

STAGE = "stage"
SEARCH = "search.csv"
CURVE = "loss_curve.csv"
HOLDOUT = "holdout.parquet"
PARAMETERS = "hyperparameters.json"
MAX_KEPT_ROWS = 50_000
CURVE_ROWS = 20_000
CURVE_POINTS = 60
LOSS_OF_TASK: Mapping[str, MetricName] = {"binary": "log_loss", "regression": "rmse"}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelledMatrix:
    """Rows as the model reads them, with their labels; `weights` None: every row counts once."""

    matrix: Floats
    labels: Floats
    weights: Floats | None
    groups: NDArray[np.intp] | None = None

    def spread(self, most: int) -> LabelledMatrix:
        """Return at most so many of the rows, evenly spread."""
        at = spread(len(self.labels), most)
        weights = None if self.weights is None else self.weights[at]
        groups = None if self.groups is None else self.groups[at]
        return LabelledMatrix(self.matrix[at], self.labels[at], weights, groups)


@dataclass(frozen=True, slots=True)
class Told:
    """What is measured: a model, who trained it, what came of it, and what was asked for."""

    trainer: Trainer
    model: StoredModel
    trained: Trained
    task: TrainingTask
    target: TargetContract


def leave_stage(
    folder: Path, holdout: str | None, told: Told, seen: LabelledMatrix
) -> dict[str, Any] | None:
    """Write the stage and return the hold-out's rows and metrics; None where there is none.

    Args:
        folder: of the job.
        holdout: the hold-out's file in it, if there is one.
        told: the model and where it comes from.
        seen: the rows that it was trained on, without copies.
    """
    (folder / STAGE).mkdir()
    used = {"params": dict(told.trained.params), "seeds": dict(told.trained.seeds)}
    (folder / STAGE / PARAMETERS).write_text(json.dumps(used, indent=1, default=str))
    rows, measured = {"train": seen}, None
    if holdout is not None:
        try:
            kept, rows["holdout"] = _labelled(folder, holdout, told)
            measured = _measure(folder, kept, rows["holdout"], told)
        except (RegistryError, ScoringError) as error:
            rows.pop("holdout", None)
            _say(f"the hold-out is not measured: {error}")
    if isinstance(told.trainer, Traced) and told.task.task in LOSS_OF_TASK:
        _write_curve(folder / STAGE / CURVE, told.trainer, told, rows)
    return measured


def measure_scores(task: str, rows: LabelledMatrix, scores: Floats) -> dict[str, float]:
    """Return the metrics of a task that are defined on these rows, as a judgement has them."""
    count = len(rows.labels)
    weights = np.ones(count) if rows.weights is None else rows.weights
    known = Rows(rows.labels, weights, np.zeros(count, dtype=np.intp), 1, rows.groups)
    found = {
        name: float(measure(name, known, scores).values(np.ones((1, 1)))[0])
        for name in OF_TASK[task]
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Return at most so many places of a table's rows, evenly spread, ascending."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.intp)


def _labelled(folder: Path, holdout: str, told: Told) -> tuple[pa.Table, LabelledMatrix]:
    """Return the rows of the hold-out that have a label, as they are and as the model reads them.

    Raises:
        TrainingRowsError: there are none, or a label is none of the task.
        ColumnError: they break the contract.
    """
    table = read_table(folder, [holdout])
    table = table.filter(pc.is_finite(pc.fill_null(table[LABEL].cast(pa.float64()), np.nan)))
    labels = numbers(table, LABEL)
    if not len(labels):
        raise TrainingRowsError(cause="none of its rows has a label")
    check_labels_of_task(labels, told.target)
    matrix = encode(told.task.contract.to_document(), table).matrix
    groups = groups_of(table, told.target)
    return table, LabelledMatrix(matrix, labels, weights_of(table), groups)


def _measure(folder: Path, table: pa.Table, rows: LabelledMatrix, told: Told) -> dict[str, Any]:
    """Score the hold-out, keep its scores beside its labels, and return its metrics."""
    found = told.trainer.score(told.model, rows.matrix, threads=told.task.threads)
    wanted = outputs_of(Outputs.of(told.target), told.trainer, told.model)
    scores = checked_scores("trained model", found, len(rows.labels), wanted)
    columns = [
        name for name in ("prediction_id", TIME, LABEL, WEIGHT) if name in table.column_names
    ]
    kept = table.select(columns).append_column("score", score_column(scores))
    kept = kept.take(pa.array(spread(len(kept), MAX_KEPT_ROWS)))
    pq.write_table(kept, folder / STAGE / HOLDOUT, compression="zstd")
    return {
        "rows": len(scores),
        "kept": len(kept),
        "metrics": measure_scores(told.task.task, rows, scores),
    }


def _write_curve(
    file: Path, trainer: Traced, told: Told, rows: Mapping[str, LabelledMatrix]
) -> None:
    loss = LOSS_OF_TASK[told.task.task]
    curves = {
        f"{name} {loss}": _curve(trainer, told, part.spread(CURVE_ROWS))
        for name, part in rows.items()
    }
    with file.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["trees", *curves])
        table.writerows(_by_trees(list(curves.values())))
    _say(f"loss curve: {', '.join(curves)}")


def _by_trees(curves: Sequence[Mapping[int, float]]) -> list[list[float]]:
    return [[trees, *(curve[trees] for curve in curves)] for trees in curves[0]]


def _curve(trainer: Traced, told: Told, rows: LabelledMatrix) -> dict[int, float]:
    """Return the loss after so many trees."""
    loss, threads = LOSS_OF_TASK[told.task.task], told.task.threads
    steps = trainer.trace(told.model, rows.matrix, points=CURVE_POINTS, threads=threads)
    means = {
        trees: float(np.average(row_losses(loss, rows.labels, scores), weights=rows.weights))
        for trees, scores in steps
    }
    return {trees: mean**0.5 if loss == "rmse" else mean for trees, mean in means.items()}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
