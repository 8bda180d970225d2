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
 "params": {...}, "rounds": 200, "max_trees": 400 | null, "decay_rate": 0.9,
 "seed": 7, "threads": 2,
 "outages": {"features": [...], "share": 0.1} | null,
 "parent": {"model": "parent/model.txt", "contract": "parent/contract.json"} | null,
 "bins": "bins.bin" | null,              the contract's profile bins; made here when there are none
 "stage": {"holdout": "holdout.parquet" | null} | null}   what to leave beside, see `stage.py`
```
writes `out/model.txt` and `out/contract.json` (these two are the artifact), `profile.bin` (the
reference profile), `bins.bin` and `stage/` into the folder, and `result.json`:
```
{"outcome": "trained", "rows": n, "unlabelled": n, "positives": n | null, "prior": x, "trees": n,
 "new_trees": n, "lane": ..., "trainer": "lightgbm/4.7.0", "params": {all that were used},
 "seeds": {...}, "contract": {...}, "contract_digest": "sha256:...", "unseen": {feature: n},
 "augmented": {"rows": n, "features": [...], "share": x, "seed": n} | null,
 "model_digest": "sha256:...", "seconds": {"load": x, "train": x, "profile": x, "stage": x},
 "holdout": {"rows": n, "kept": n, "metrics": {"auc": x, ...}} | null}
```

**score**: `job.json` →
```
{"format": 1, "data": [...], "threads": 2,
 "models": [{"role": "challenger", "model": "challenger/model.txt",
             "contract": "challenger/contract.json"}, ...]}
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
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mlreg.client.scoring.encoding import Encoded, encode
from mlreg.client.scoring.errors import ScoringError
from mlreg.controller.domain.bins import Bins, make_bins
from mlreg.controller.domain.profile import profile_rows
from mlreg.controller.trainers.job import InvalidJobError, Job, ScoredModel, ScoreJob, TrainJob
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.outages import Augmented, copy_with_defaults
from mlreg.controller.trainers.rows import (
    LABEL,
    LabelledRows,
    labelled_rows,
    pin_categories,
    read_table,
)
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.stage import LabelledMatrix, leave_stage
from mlreg.controller.trainers.trainer import Parent, Trained, Trainer, TrainingTask
from mlreg.registry.domain.contracts import (
    FeatureContract,
    FeatureSchema,
    TargetContract,
    check_contract,
)
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

JOB = "job.json"
RESULT = "result.json"
SCORES = "scores.parquet"
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
    trainer = open_trainer(job.trainer)
    target = TargetContract.from_json(job.target)
    table = read_table(folder, job.data)
    rows = labelled_rows(table, target)
    contract = _contract(job, rows.table)
    encoded = encode(contract.to_document(), rows.table)
    watch.lap("load")
    task, augmented = _task(folder, job, target, contract, rows, encoded)
    trained = trainer.train(task)
    watch.lap("train")
    _write_model(folder / "out", trained, contract)
    _write_profile(folder, job, contract, encoded, rows)
    watch.lap("profile")
    holdout = None
    if job.stage is not None:
        seen = LabelledMatrix(encoded.matrix, rows.labels, rows.weights)
        holdout = leave_stage(folder, job.stage.holdout, trainer, trained, task, seen)
        watch.lap("stage")
    return {
        "outcome": "trained",
        "rows": len(rows.labels),
        "unlabelled": rows.unlabelled,
        "positives": rows.positives if target.task == "binary" else None,
        "prior": float(np.average(rows.labels, weights=rows.weights)),
        "trees": trained.trees,
        "new_trees": trained.new_trees,
        "lane": job.lane,
        "trainer": trainer.name,
        "params": dict(trained.params),
        "seeds": {"run": job.seed, **trained.seeds},
        "contract": contract.to_document(),
        "contract_digest": contract.digest,
        "unseen": encoded.unseen,
        "augmented": None if augmented is None else augmented.to_json(),
        "model_digest": digest_of(trained.model),
        "seconds": watch.seconds,
        "holdout": holdout,
    }


def _contract(job: TrainJob, table: pa.Table) -> FeatureContract:
    """Return the contract to keep to: the given one, else the schema with its categories pinned."""
    schema = None if job.feature_schema is None else FeatureSchema.from_json(job.feature_schema)
    if job.contract is not None:
        contract = FeatureContract.from_json(job.contract)
        if schema is not None:
            check_contract(contract, schema)
        return contract
    if schema is None:
        raise InvalidJobError(cause="neither a contract nor a schema is given")
    return pin_categories(schema, table)


def _task(
    folder: Path,
    job: TrainJob,
    target: TargetContract,
    contract: FeatureContract,
    rows: LabelledRows,
    encoded: Encoded,
) -> tuple[TrainingTask, Augmented | None]:
    matrix, labels, weights = encoded.matrix, rows.labels, rows.weights
    augmented = None
    if job.outages is not None:
        copies, chosen, augmented = copy_with_defaults(
            matrix,
            contract,
            job.outages.features,
            share=job.outages.share,
            seed=derive_seeds(job.seed, ["outages"])["outages"],
        )
        matrix = np.concatenate([matrix, copies])
        labels = np.concatenate([labels, labels[chosen]])
        weights = None if weights is None else np.concatenate([weights, weights[chosen]])
    task = TrainingTask(
        task=target.task,
        contract=contract,
        matrix=matrix,
        labels=labels,
        weights=weights,
        lane=job.lane,
        params=job.params,
        rounds=job.rounds,
        max_trees=job.max_trees,
        decay_rate=job.decay_rate,
        seed=job.seed,
        threads=job.threads,
        parent=_parent(folder, job),
    )
    return task, augmented


def _parent(folder: Path, job: TrainJob) -> Parent | None:
    if job.parent is None:
        return None
    form = json.loads((folder / job.parent.contract).read_bytes())
    return Parent((folder / job.parent.model).read_bytes(), FeatureContract.from_json(form))


def _write_model(out: Path, trained: Trained, contract: FeatureContract) -> None:
    out.mkdir(exist_ok=True)
    (out / "model.txt").write_bytes(trained.model)
    (out / "contract.json").write_text(json.dumps(contract.to_document(), indent=1))


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
    if job.bins is not None:
        bins = Bins.from_bytes((folder / job.bins).read_bytes())
    else:
        bins = make_bins({**columns, LABEL: rows.labels}, contract)
        (folder / "bins.bin").write_bytes(bins.to_bytes())
    (folder / "profile.bin").write_bytes(profile_rows(columns, bins).to_bytes())


def _score(folder: Path, job: ScoreJob) -> dict[str, object]:
    watch = Stopwatch()
    table = read_table(folder, job.data)
    watch.lap("load")
    scores, unseen = score_models(folder, table, job.models, open_trainer(job.trainer), job.threads)
    write_scores(folder, scores)
    watch.lap("score")
    return {
        "outcome": "scored",
        "rows": len(table),
        "unseen": unseen,
        "seconds": watch.seconds,
    }


def score_models(
    folder: Path, table: pa.Table, models: Sequence[ScoredModel], trainer: Trainer, threads: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[str, int]]]:
    """Return scores and unseen categories by role; equal contracts encode once.

    Raises:
        ColumnError: the rows break a model's contract; the message names the column.
        ModelFileError: a model file breaks its format.
    """
    encodings: dict[str, Encoded] = {}
    scores: dict[str, NDArray[np.float64]] = {}
    unseen: dict[str, dict[str, int]] = {}
    for model in models:
        contract = FeatureContract.from_json(json.loads((folder / model.contract).read_bytes()))
        if contract.digest not in encodings:
            encodings[contract.digest] = encode(contract.to_document(), table)
        encoded = encodings[contract.digest]
        content = (folder / model.model).read_bytes()
        scores[model.role] = (
            trainer.score(content, encoded.matrix, threads=threads) if len(table) else np.empty(0)
        )
        unseen[model.role] = encoded.unseen
    return scores, unseen


def write_scores(folder: Path, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """Write scores.parquet: a column for each role."""
    columns = {role: _column(values) for role, values in scores.items()}
    pq.write_table(pa.table(columns), folder / SCORES)


def _column(scores: NDArray[np.float64]) -> pa.Array:
    if scores.ndim == 1:
        return pa.array(scores)
    return pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1])
