"""From a job and its rows to what a trainer is asked for: contract, data steps, parent."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.shards import Shard, report_of
from mlreg.controller.domain.steps.outages import Outages
from mlreg.controller.domain.steps.step import Step, StepRecord, TrainingRows, apply_steps
from mlreg.controller.trainers.errors import TrainingRowsError
from mlreg.controller.trainers.job import InvalidJobError, TrainJob
from mlreg.controller.trainers.rows import (
    LabelledRows,
    check_classes,
    check_weights,
    learn_categories,
    pin_categories,
)
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.trainer import Preparation, StoredModel, TrainingTask
from mlreg.registry.domain.contracts import FeatureContract, FeatureSchema, check_contract
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from mlreg.client.scoring.encoding import Encoded


@dataclass(frozen=True, slots=True)
class Stepped:
    """The rows after all data steps, and the records of these.

    Attributes:
        augmented: what the short form `outages` did.
        records: what each of `steps` did.
    """

    rows: TrainingRows
    augmented: dict[str, Any] | None
    records: tuple[StepRecord, ...]


def contract_of(job: TrainJob, table: pa.Table) -> FeatureContract:
    """Return the contract to keep to: the given one, else the schema with its categories pinned.

    Where the job says so, the given one learns the categories that came since. A data step may
    reserve codes in it (`hashed`); a stateful lane then needs a parent with them.
    """
    schema = None if job.feature_schema is None else FeatureSchema.from_json(job.feature_schema)
    if job.contract is not None:
        contract = FeatureContract.from_json(job.contract)
        if schema is not None:
            check_contract(contract, schema)
            if job.learns_categories:
                contract = learn_categories(contract, schema, table)
    elif schema is None:
        raise InvalidJobError(cause="neither a contract nor a schema is given")
    else:
        contract = pin_categories(schema, table)
    reserved: FeatureSchema = contract
    for step in job.steps:
        reserved = step.reserve(reserved)
    return FeatureContract(reserved.features)


def step_rows(
    job: TrainJob, contract: FeatureContract, rows: LabelledRows, encoded: Encoded
) -> Stepped:
    """Apply the data steps to the rows of the training, and to no others.

    Raises:
        StepError: a step names what is not there, or leaves no rows.
        TrainingRowsError: what the steps leave is of one class, or has weights that nothing holds.
    """
    plain = TrainingRows(encoded.matrix, rows.labels, rows.weights, rows.groups)
    names = [f"steps.{place}.{step.kind}" for place, step in enumerate(job.steps)]
    seeds = derive_seeds(job.seed, ["outages", *names])
    steps: list[Step] = list(job.steps)
    if job.outages is not None:
        steps.insert(0, Outages(outages=job.outages.features, share=job.outages.share))
        names.insert(0, "outages")
    stepped, records = apply_steps(steps, plain, contract, [seeds[name] for name in names])
    if steps:
        _check_stepped(stepped, TargetContract.from_json(job.target))
    if job.outages is None:
        return Stepped(stepped, None, tuple(records))
    first, *others = records
    augmented = {
        "rows": first.touched,
        "features": job.outages.features,
        "share": job.outages.share,
        "seed": first.seed,
    }
    return Stepped(stepped, augmented, tuple(others))


def tell_idle(steps: Sequence[Step], records: Sequence[StepRecord]) -> None:
    """Say in the log which data steps changed no row: their slice is not in these rows, say."""
    for step, record in zip(steps, records, strict=True):
        if record.idle:
            sys.stdout.write(f"the data step {step.kind!r} changed no row: nothing came of it\n")


def _check_stepped(rows: TrainingRows, target: TargetContract) -> None:
    try:
        check_weights(rows.weights)
        check_classes(rows.labels, rows.weights, target)
    except TrainingRowsError as error:
        raise TrainingRowsError(cause=f"after the data steps {error.cause}") from error


def task_of(
    folder: Path,
    job: TrainJob,
    target: TargetContract,
    contract: FeatureContract,
    rows: TrainingRows,
) -> TrainingTask:
    """Return what the trainer is asked for; the rows of a group stand together."""
    if rows.groups is not None:
        rows = rows.take(np.argsort(rows.groups, kind="stable"))
    return TrainingTask(
        task=target.task,
        contract=contract,
        matrix=rows.matrix,
        labels=rows.labels,
        weights=rows.weights,
        lane=job.lane,
        params=job.params,
        rounds=job.rounds,
        max_trees=job.max_trees,
        decay_rate=job.decay_rate,
        seed=job.seed,
        threads=job.threads,
        parent=_parent(folder, job),
        classes=max(1, len(target.classes)),
        groups=rows.groups,
        estimator=job.estimator,
        preparation=Preparation(**job.preparation.model_dump()),
    )


def shard_task(task: TrainingTask, job: TrainJob) -> TrainingTask:
    """Return the part of a task that is one process's; the task where one process trains alone.

    Raises:
        InvalidJobError: the task is none that several processes can share.
    """
    if job.shard is None:
        return task
    if job.trainer != "lightgbm":
        raise InvalidJobError(cause=f"several workers cannot train one model of {job.trainer}")
    if task.lane != "full" or task.groups is not None or job.search is not None:
        cause = "several workers train in lane full only, no ranking, and without a search"
        raise InvalidJobError(cause=cause)
    shard = Shard(job.shard.rank, job.shard.machines)
    rows = shard.rows_of(len(task.labels))
    return replace(
        task,
        matrix=task.matrix[rows],
        labels=task.labels[rows],
        weights=None if task.weights is None else task.weights[rows],
        shard=shard,
    )


def shard_report(task: TrainingTask, total: int, model: Path) -> dict[str, object] | None:
    """Return what one of several processes says of its part; None of one that trained alone.

    Raises:
        ShardsDisagreeError: its model has not seen the rows of the others.
    """
    if task.shard is None:
        return None
    report = report_of(task.shard, len(task.labels), total, model.read_bytes(), task.params)
    return asdict(report)


def _parent(folder: Path, job: TrainJob) -> StoredModel | None:
    if job.parent is None:
        return None
    form = json.loads((folder / job.parent.contract).read_bytes())
    return StoredModel(folder / job.parent.model, FeatureContract.from_json(form))
