"""What a child process of the executor runs: `train` and `score`, each on one folder.

The contract is files. All paths in a job are relative to the folder; rows are Parquet files with
the columns of `read_snapshot` (prediction_id, time, version, score, label, weight, features ...).
A third job, `judge`, scores and judges: see `services/judging.py`.

**train**: `job.json` →
```
{"format": 1, "trainer": "lightgbm", "lane": "full" | "continue" | "refit",
 "data": ["rows.parquet", ...],
 "target": {...target contract...},
 "schema": [...features...] | null,      the model's feature schema: pinned here, when no contract
 "contract": {...} | null,               the feature contract to keep to
 "learns_categories": false,             whether it gets the categories that came since
 "params": {...}, "rounds": 200, "max_trees": 400 | null, "decay_rate": 0.9,
 "seed": 7, "threads": 2,
 "outages": {"features": [...], "share": 0.1} | null,
 "steps": [...data steps, as in a policy...],          done after the outages, in their order
 "estimator": "sklearn.linear_model.SGDClassifier" | null, "preparation": {...},  of `sklearn`
 "command": {...} | null,                              of `command`: see `domain/commands.py`
 "parent": {"model": "parent/model.txt", "contract": "parent/contract.json"} | null,
 "bins": "bins.bin" | null,              the contract's profile bins; made here where none fit
 "stage": {"holdout": "holdout.parquet" | null} | null,   what to leave beside, see `stage.py`
 "search": {...} | null,                 hyperparameters to look for first, see `search.py`
 "shard": {"rank": 0, "machines": ["host:port", ...]} | null}   of several: `domain/shards.py`
```
writes the model (`out/model.txt`; other trainers: `domain/trainer_kinds.py`) and
`out/contract.json`, which are the artifact, `profile.bin` (the reference profile), `bins.bin` and
`stage/` into the folder, and `result.json`:
```
{"outcome": "trained", "rows": n, "unlabelled": n, "positives": n | null, "prior": x, "trees": n,
 "new_trees": n, "lane": ..., "trainer": "lightgbm/4.7.0", "params": {all that were used},
 "seeds": {...}, "contract": {...}, "contract_digest": "sha256:...", "unseen": {feature: n},
 "augmented": {"rows": n, "features": [...], "share": x, "seed": n} | null,
 "steps": [{...its keys..., "rows": n, "touched": n, "seed": n}, ...],
 "search": {"metric": ..., "value": x, "chosen": {...}, "trials": n, ...} | null,
 "reported": {what the trainer itself measured}, "model_digest": "sha256:...",
 "seconds": {"load": x, "train": x, "profile": x, "stage": x},
 "holdout": {"rows": n, "kept": n, "metrics": {"auc": x, ...}} | null,
 "shard": {"rank": n, "world": n, "rows": n, "total": n, "trees": "sha256:..."} | null}
```

**score**: `job.json` →
```
{"format": 1, "data": [...], "threads": 2,
 "models": [{"role": "challenger", "model": "challenger/model.txt",
             "contract": "challenger/contract.json", "trainer": "lightgbm"}, ...]}
```
writes `scores.parquet` (columns named by role, in the order of the rows: float64, or of several
classes lists of it) and `result.json`
`{"outcome": "scored", "rows": n, "unseen": {role: {feature: n}}, "seconds": {...}}`.

A refusal (bad label, wrong parent, ...) is `{"outcome": "failed", "code": ..., "message": ...,
"hint": ...}` and the entry point returns normally: the run is `failed`. Anything else that ends the
child is a crash, which may be tried again.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydantic import ValidationError

from mlreg.client.scoring.encoding import Encoded, encode
from mlreg.client.scoring.errors import ScoringError
from mlreg.controller.domain.bins import Bins, make_bins
from mlreg.controller.domain.profile import profile_rows
from mlreg.controller.domain.trainer_kinds import model_file_of
from mlreg.controller.trainers.files import digest_of_files
from mlreg.controller.trainers.job import InvalidJobError, Job, ScoreJob, TrainJob
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.rows import LABEL, LabelledRows, labelled_rows, read_table, tell_gaps
from mlreg.controller.trainers.scores import (
    Outputs,
    checked_scores,
    outputs_of,
    score_models,
    write_scores,
)
from mlreg.controller.trainers.search import Searched, Searching, search
from mlreg.controller.trainers.stage import SEARCH, STAGE, LabelledMatrix, Told, leave_stage, spread
from mlreg.controller.trainers.tasks import (
    contract_of,
    shard_report,
    shard_task,
    step_rows,
    task_of,
    tell_idle,
)
from mlreg.controller.trainers.trainer import StoredModel, Trained, Trainer, TrainingTask
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.registry.domain.contracts import FeatureContract

JOB = "job.json"
RESULT = "result.json"
CONTRACT = "contract.json"
PROVEN_ROWS = 1_000
"""A model that was trained has to score so many of its own rows before it is anything."""
J = TypeVar("J", bound=Job)


@dataclass(slots=True)
class Stopwatch:
    """Seconds by part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def lap(self, part: str) -> None:
        """Note the seconds since the last lap under this name."""
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 6)
        self._last = now


def train(folder: Path) -> None:
    """Do the `train` job of a folder."""
    answer(folder, TrainJob, _train)


def score(folder: Path) -> None:
    """Do the `score` job of a folder."""
    answer(folder, ScoreJob, _score)


def answer(folder: Path, kind: type[J], work: Callable[[Path, J], Mapping[str, object]]) -> None:
    """Read a job, do the work, and write result.json: its outcome, or why it was refused."""
    try:
        result = work(folder, _read_job(folder, kind))
    except (RegistryError, ScoringError) as error:
        result = {
            "outcome": "failed",
            "code": error.code,
            "message": str(error),
            "hint": error.hint,
        }
    partial = folder / f"{RESULT}.partial"
    partial.write_text(json.dumps(result, indent=1, allow_nan=False))
    partial.replace(folder / RESULT)


def _read_job(folder: Path, kind: type[J]) -> J:
    try:
        return kind.model_validate_json((folder / JOB).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidJobError(cause=f"{place}: {first['msg']}") from error


def _train(folder: Path, job: TrainJob) -> dict[str, object]:
    watch = Stopwatch()
    trainer = open_trainer(job.trainer, job.command)
    target = TargetContract.from_json(job.target)
    table = read_table(folder, job.data)
    rows = labelled_rows(table, target)
    tell_gaps(rows.labels, target)
    contract = contract_of(job, rows.table)
    encoded = encode(contract.to_document(), rows.table)
    watch.lap("load")
    searched = _search(Searching(folder, job, trainer, target, contract, rows, encoded))
    if searched is not None:
        job = job.model_copy(update={"params": {**job.params, **searched.chosen}})
        watch.lap("search")
    stepped = step_rows(job, contract, rows, encoded)
    tell_idle(job.steps, stepped.records)
    task = shard_task(task_of(folder, job, target, contract, stepped.rows), job)
    model, trained = fit(folder / "out", trainer, task)
    watch.lap("train")
    _write_profile(folder, job, contract, encoded, rows)
    watch.lap("profile")
    holdout = None
    if job.stage is not None:
        seen = LabelledMatrix(encoded.matrix, rows.labels, rows.weights, rows.groups)
        told = Told(trainer, model, trained, task, target)
        holdout = leave_stage(folder, job.stage.holdout, told, seen)
        if searched is not None:
            (folder / SEARCH).replace(folder / STAGE / SEARCH)
        watch.lap("stage")
    return {
        "outcome": "trained",
        **_told_of_rows(rows, target),
        **_told_of_model(job, trainer, model, trained),
        "unseen": encoded.unseen,
        "augmented": stepped.augmented,
        "steps": [record.to_json() for record in stepped.records],
        "search": None if searched is None else dict(searched.record),
        "seconds": watch.seconds,
        "holdout": holdout,
        "shard": shard_report(task, len(stepped.rows.labels), model.path),
    }


def _told_of_rows(rows: LabelledRows, target: TargetContract) -> dict[str, object]:
    return {
        "rows": len(rows.labels),
        "unlabelled": rows.unlabelled,
        "positives": rows.positives if target.task == "binary" else None,
        "prior": float(np.average(rows.labels, weights=rows.weights)),
    }


def _told_of_model(
    job: TrainJob, trainer: Trainer, model: StoredModel, trained: Trained
) -> dict[str, object]:
    return {
        "trees": trained.trees,
        "new_trees": trained.new_trees,
        "lane": job.lane,
        "trainer": trainer.name,
        "params": dict(trained.params),
        "seeds": {"run": job.seed, **trained.seeds},
        "contract": model.contract.to_document(),
        "contract_digest": model.contract.digest,
        "reported": dict(trained.metrics),
        "model_digest": digest_of_files(model.path),
    }


def _search(searching: Searching) -> Searched | None:
    """Look for hyperparameters, where the job wants that.

    Raises:
        InvalidJobError: the job is one part of several.
        SearchError: there is nothing to be found.
    """
    rule = searching.job.search
    if rule is None:
        return None
    if searching.job.shard is not None:
        raise InvalidJobError(cause="search: not in several processes; name the parameters")
    return search(searching, rule)


def fit(out: Path, trainer: Trainer, task: TrainingTask) -> tuple[StoredModel, Trained]:
    """Train, write model and contract, and see that the model scores some of its own rows.

    Raises:
        ScoresError: it answers not-a-number, or not what its task wants.
    """
    out.mkdir(exist_ok=True)
    kind = trainer.name.partition("/")[0]
    model = StoredModel(out / model_file_of(kind), task.contract)
    try:
        (out / CONTRACT).write_text(json.dumps(task.contract.to_document(), indent=1))
        trained = trainer.train(task, model.path)
        some = task.matrix[spread(len(task.labels), PROVEN_ROWS)]
        scores = trainer.score(model, some, threads=task.threads)
        wanted = outputs_of(Outputs(task.task, task.classes), trainer, model)
        checked_scores("trained model", scores, len(some), wanted)
    except (RegistryError, ScoringError):
        shutil.rmtree(out)
        raise
    return model, trained


def _write_profile(
    folder: Path, job: TrainJob, contract: FeatureContract, encoded: Encoded, rows: LabelledRows
) -> None:
    """Write the reference profile of the training rows, without augmentation, and its bins.

    It has no scores: those of the rows are other versions', those of this one would be in-sample.
    """
    columns: dict[str, NDArray[np.generic]] = {
        name: encoded.codes.get(name, encoded.matrix[:, place])
        for place, name in enumerate(contract.names)
    }
    bins = None if job.bins is None else Bins.from_bytes((folder / job.bins).read_bytes())
    if bins is None or not bins.fit(contract):
        bins = make_bins({**columns, LABEL: rows.labels}, contract)
        (folder / "bins.bin").write_bytes(bins.to_bytes())
    (folder / "profile.bin").write_bytes(profile_rows(columns, bins).to_bytes())


def _score(folder: Path, job: ScoreJob) -> dict[str, object]:
    watch = Stopwatch()
    table = read_table(folder, job.data)
    watch.lap("load")
    scores, unseen = score_models(folder, table, job.models, job.trainer, job.threads)
    write_scores(folder, scores)
    watch.lap("score")
    return {
        "outcome": "scored",
        "rows": len(table),
        "unseen": unseen,
        "seconds": watch.seconds,
    }
