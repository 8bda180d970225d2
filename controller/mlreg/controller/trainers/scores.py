"""Scoring rows with models of any trainer, and looking at what came back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.client.scoring.encoding import Encoded, encode
from mlreg.controller.trainers.errors import ScoresError
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.trainer import StoredModel
from mlreg.registry.domain.contracts import FeatureContract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.controller.trainers.job import ScoredModel

SCORES = "scores.parquet"
MOST_DIMENSIONS = 2


def score_models(
    folder: Path, table: pa.Table, models: Sequence[ScoredModel], trainer: str, threads: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[str, int]]]:
    """Return scores and unseen categories by role; equal contracts encode once.

    Args:
        folder: of the job.
        table: the rows.
        models: each with the trainer that can score it.
        trainer: the one of those that name none.
        threads: how many a library may use.

    Raises:
        ColumnError: the rows break a model's contract; the message names the column.
        ModelFileError: a model file breaks its format.
        ScoresError: a model answers not-a-number, or not one score per row.
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
            scores[model.role] = checked_scores(model.role, found, len(table))
    return scores, unseen


def checked_scores(role: str, scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Return scores once they are numbers, one (or one for each class) per row.

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
    return scores


def score_column(scores: NDArray[np.float64]) -> pa.Array:
    """Return scores as a column: a number per row, or a list of one per class."""
    if scores.ndim == 1:
        return pa.array(scores)
    return pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1])


def write_scores(folder: Path, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Write scores.parquet: a column for each role."""
    columns = {role: score_column(found) for role, found in scores.items()}
    pq.write_table(pa.table(columns), folder / SCORES)
