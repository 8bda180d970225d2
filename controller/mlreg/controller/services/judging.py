"""Scoring and judging in one child of the executor: `judge`, on one folder.

The job is `trainers.child`'s `score` job with what judging needs on top:
```
{"format": 1, "data": [...], "threads": 2, "trainer": "lightgbm",
 "models": [{"role": "challenger" | "champion" | "anchor", "model": "challenger/model.txt",
             "contract": "challenger/contract.json", "trainer": "lightgbm", "version": 3,
             "train_end": "2013-02-01T00:00:00+00:00" | null}, ...],
 "target": {...target contract...},
 "gates": [...as in the policy...], "seed": 7, "draws": 1000,
 "prior": 0.21 | null,          what `train` answered for the challenger: its mean training label
 "context": {"snapshot": "sha256:...", ...}}
```
Writes `scores.parquet` (float64 columns named by role) and `result.json`
`{"outcome": "judged", "judgement": {...}, "unseen": {...}, "seconds": {...}}`; `judgement` is the
JSON form of `domain.judging.Judgement`, ready for `services.decisions.record_decision`. A model
trained on rows of the evaluation, or rows that break a contract, are `"outcome": "failed"`. Leave
the anchor out where it is the champion itself.

What always holds: model files are parsed here, in a child with limits, and nowhere else; the same
rows, models, gates and seed give the same judgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.client.scoring.encoding import as_array
from mlreg.controller.domain.judging import judge as judge_trial
from mlreg.controller.domain.judging_input import Contestant, JudgingInput, SliceColumn
from mlreg.controller.gates.kinds import read_gates
from mlreg.controller.trainers.child import Stopwatch, answer
from mlreg.controller.trainers.job import InvalidJobError, JudgeJob
from mlreg.controller.trainers.rows import (
    LABEL,
    TIME,
    group_codes,
    numbers,
    read_table,
    weights_of,
)
from mlreg.controller.trainers.scores import Outputs, score_models, write_scores
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from mlreg.controller.domain.gates import Gate

ONE_PRIOR = frozenset({"binary", "regression"})
"""The tasks of which the mean training label is the prior."""


def judge(folder: Path) -> None:
    """Do the `judge` job of a folder."""
    answer(folder, JudgeJob, _judge)


def _judge(folder: Path, job: JudgeJob) -> dict[str, object]:
    watch = Stopwatch()
    gates = read_gates(job.gates)
    table = read_table(folder, job.data)
    watch.lap("load")
    outputs = Outputs.of(TargetContract.from_json(job.target))
    scores, unseen = score_models(folder, table, job.models, job.trainer, job.threads, outputs)
    write_scores(folder, scores)
    watch.lap("score")
    found = _judgement(table, job, scores, gates)
    watch.lap("judge")
    return {
        "outcome": "judged",
        "judgement": {**found, "seed": job.seed},
        "unseen": unseen,
        "seconds": watch.seconds,
    }


def _judgement(
    table: pa.Table,
    job: JudgeJob,
    scores: Mapping[str, NDArray[np.float64]],
    gates: Sequence[Gate],
) -> dict[str, Any]:
    given = judging_input(table, job, scores, slice_columns(gates))
    judgement = judge_trial(given, gates, np.random.default_rng(job.seed), draws=job.draws)
    return dict(judgement.to_json())


def judging_input(
    table: pa.Table,
    job: JudgeJob,
    scores: Mapping[str, NDArray[np.float64]],
    slices: Sequence[str],
) -> JudgingInput:
    """Return what is to be judged.

    Raises:
        InvalidJobError: no challenger.
    """
    target = TargetContract.from_json(job.target)
    models = {
        model.role: Contestant(model.version, scores[model.role], model.train_end)
        for model in job.models
    }
    if "challenger" not in models:
        raise InvalidJobError(cause="models: there is no challenger")
    return JudgingInput(
        task=target.task,
        times=table[TIME].to_numpy().astype("datetime64[us]"),
        labels=numbers(table, LABEL),
        challenger=models["challenger"],
        champion=models.get("champion"),
        anchor=models.get("anchor"),
        weights=weights_of(table),
        groups=group_codes(table, target) if target.task == "ranking" else None,
        classes=target.classes if target.task == "multiclass" else (),
        slices={name: slice_column(table, name) for name in slices if is_cut(table, name)},
        prior=job.prior if target.task in ONE_PRIOR else None,
        context=job.context,
    )


def is_cut(table: pa.Table, name: str) -> bool:
    """Say whether the column is one of the table's own; by classes the trial cuts itself."""
    return name in table.column_names and name != LABEL


def slice_columns(gates: Sequence[Gate]) -> list[str]:
    """Return the columns that the gates cut by, each once."""
    return list(dict.fromkeys(name for gate in gates for name in gate.columns))


def slice_column(table: pa.Table, name: str) -> SliceColumn:
    """Return a column as codes of its values; null is no slice."""
    encoded = as_array(name, table[name]).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return SliceColumn(codes, tuple(map(str, encoded.dictionary.to_pylist())))
