"""Scoring rows with models of any trainer, and looking at what came back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.client.scoring.encoding import Encoded, encode
from mlreg.controller.domain.soundness import SLACK
from mlreg.controller.trainers.errors import ScoresError
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.trainer import OneAgainstAll, StoredModel
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.controller.trainers.job import ScoredModel
    from mlreg.controller.trainers.trainer import Trainer
    from mlreg.registry.domain.target_contract import TargetContract

SCORES = "scores.parquet"
MOST_DIMENSIONS = 2
SUM_SLACK = 1e-3
"""How far from 1 the probabilities of a row may be together: some libraries count in float32."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model of a task answers for a row.

    Attributes:
        classes: of a multiclass model, how many probabilities; others answer one number.
        adds_up: whether those of a row have to be 1 together; not where each class was learnt
            against all others on its own.
    """

    task: Task
    classes: int = 1
    adds_up: bool = True

    @classmethod
    def of(cls, target: TargetContract) -> Outputs:
        """Return what models of this target answer."""
        return cls(target.task, max(1, len(target.classes)))

    def problem_of(self, scores: NDArray[np.float64]) -> str | None:
        """Say what makes finite scores none of this task; None when nothing does."""
        width = 1 if scores.ndim == 1 else scores.shape[1]
        if self.task == "multiclass":
            if scores.ndim == 1 or width != self.classes:
                return f"{width} per row came back for {self.classes} classes"
        elif scores.ndim > 1:
            return f"{width} per row came back, and a {self.task} model answers one number"
        if self.task not in {"binary", "multiclass"}:
            return None
        outside = (scores < -SLACK) | (scores > 1 + SLACK)
        if outside.any():
            count = int(outside.sum())
            return f"{scores[outside][0]:g} is no probability; {count} are below 0 or above 1"
        return self._problem_of_sums(scores) if self.task == "multiclass" else None

    def _problem_of_sums(self, scores: NDArray[np.float64]) -> str | None:
        sums = scores.sum(axis=1)
        wrong = np.abs(sums - 1) > SUM_SLACK if self.adds_up else sums <= 0
        if not wrong.any():
            return None
        rows = f"{int(wrong.sum())} of {len(sums)} rows"
        return f"the probabilities of a row add up to {sums[wrong][0]:g}, not to 1, in {rows}"


def score_models(
    folder: Path,
    table: pa.Table,
    models: Sequence[ScoredModel],
    trainer: str,
    threads: int,
    outputs: Outputs | None = None,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[str, int]]]:
    """Return scores and unseen categories by role; equal contracts encode once.

    Args:
        folder: of the job.
        table: the rows.
        models: each with the trainer that can score it.
        trainer: the one of those that name none.
        threads: how many a library may use.
        outputs: what the models are to answer; None where the job does not say.

    Raises:
        ColumnError: the rows break a model's contract; the message names the column.
        ModelFileError: a model file breaks its format.
        ScoresError: a model answers not-a-number, or not what its task wants.
    """
    encodings: dict[str, Encoded] = {}
    scores: dict[str, NDArray[np.float64]] = {}
    unseen: dict[str, dict[str, int]] = {}
    for model in models:
        contract = FeatureContract.from_json(json.loads((folder / model.contract).read_bytes()))
        if contract.digest not in encodings:
            encodings[contract.digest] = encode(contract.to_document(), table)
        encoded = encodings[contract.digest]
        unseen[model.role] = encoded.unseen
        scores[model.role] = np.empty(0)
        if len(table):
            kind = open_trainer(model.trainer or trainer, model.command)
            stored = StoredModel(folder / model.model, contract)
            found = kind.score(stored, encoded.matrix, threads=threads)
            wanted = outputs_of(outputs, kind, stored)
            scores[model.role] = checked_scores(model.role, found, len(table), wanted)
    return scores, unseen


def outputs_of(outputs: Outputs | None, kind: Trainer, model: StoredModel) -> Outputs | None:
    """Return what this very model is to answer; only one of several classes is asked."""
    if outputs is None or outputs.task != "multiclass" or not isinstance(kind, OneAgainstAll):
        return outputs
    return replace(outputs, adds_up=not kind.is_one_against_all(model))


def checked_scores(
    role: str, scores: NDArray[np.float64], rows: int, outputs: Outputs | None = None
) -> NDArray[np.float64]:
    """Return scores once they are numbers, as many per row as the task wants, if that is known.

    Raises:
        ScoresError: they are not.
    """
    if scores.ndim not in {1, MOST_DIMENSIONS} or len(scores) != rows:
        raise ScoresError(role=role, cause=f"{len(scores)} came back for {rows} rows")
    broken = ~np.isfinite(scores)
    if broken.any():
        at = np.flatnonzero(broken.reshape(rows, -1).any(axis=1))
        cause = f"{len(at)} of {rows} are not finite numbers, the first in row {at[0]}"
        raise ScoresError(role=role, cause=cause)
    problem = None if outputs is None else outputs.problem_of(scores)
    if problem is not None:
        raise ScoresError(role=role, cause=problem)
    return scores


def score_column(scores: NDArray[np.float64]) -> pa.Array:
    """Return scores as a column: a number per row, or a list of one per class."""
    if scores.ndim == 1:
        return pa.array(scores)
    return pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1])


def read_scores(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the scores of a column that `score_column` made."""
    kind = column.type
    if not pa.types.is_fixed_size_list(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float64).reshape(-1, kind.list_size)


def write_scores(folder: Path, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Write scores.parquet: a column for each role."""
    columns = {role: score_column(found) for role, found in scores.items()}
    pq.write_table(pa.table(columns), folder / SCORES)
