"""What a child does to look for an older version: `measure`, a score job with metrics for scores.

`job.json` is that of `child.score` with the `target` contract on top; `result.json` is
`{"outcome": "measured", "rows": n, "metrics": {role: {metric: x, ...}}, "seconds": {...}}`.
A metric that is not defined on the rows is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from mlreg.controller.trainers.child import Stopwatch, answer
from mlreg.controller.trainers.job import ScoreJob
from mlreg.controller.trainers.rows import (
    LABEL,
    check_labels_of_task,
    groups_of,
    numbers,
    read_table,
    weights_of,
)
from mlreg.controller.trainers.scores import score_models
from mlreg.controller.trainers.stage import LabelledMatrix, measure_scores
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from pathlib import Path


class MeasureJob(ScoreJob):
    """A job of `measure`."""

    target: dict[str, Any]


def measure(folder: Path) -> None:
    """Do the `measure` job of a folder."""
    answer(folder, MeasureJob, _measure)


def _measure(folder: Path, job: MeasureJob) -> dict[str, object]:
    watch = Stopwatch()
    target = TargetContract.from_json(job.target)
    table = read_table(folder, job.data)
    known = table.filter(pc.is_valid(table[LABEL]))
    labels = numbers(known, LABEL)
    check_labels_of_task(labels, target)
    watch.lap("load")
    scores, _ = score_models(folder, known, job.models, job.trainer, job.threads)
    groups = groups_of(known, target)
    metrics = {}
    for role, found in scores.items():
        rows = LabelledMatrix(found.reshape(len(known), -1), labels, weights_of(known), groups)
        metrics[role] = measure_scores(target.task, rows, found) if len(known) else {}
    watch.lap("score")
    return {
        "outcome": "measured",
        "rows": len(known),
        "metrics": metrics,
        "seconds": watch.seconds,
    }
