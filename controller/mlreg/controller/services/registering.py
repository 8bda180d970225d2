"""Registering what a run trained: files, provenance, stage, signature, reference profile.

What always holds: the version, its reference profile, the contract's bins and the mark on the run
are one transaction under the attempt's lease; a version without a commit says so for ever. Metrics
of quality are of the run's hold-out, the snapshot that the tag `measured_on` names: rows of which
neither the version nor its parent has seen any. Without such rows there are none. What a trainer
says of its own model is kept as `reported_…`, and nothing is decided by it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version as version_of_package
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from mlreg.client.provenance import capture_environment
from mlreg.controller import trainers
from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.profile import Profile
from mlreg.controller.services.label_drift import training_labels
from mlreg.controller.services.losses import check_whole
from mlreg.controller.services.profiles import profile_table, store_reference
from mlreg.controller.services.recipe import BINS, ROWS
from mlreg.controller.services.run_signing import sign_trained
from mlreg.controller.services.stage import send_stage
from mlreg.controller.services.training import PROFILE, Trained, Training
from mlreg.controller.store import profiles as profile_rows
from mlreg.controller.store import runs as rows
from mlreg.registry.domain.provenance import EnvironmentRecord, GitState, Provenance
from mlreg.registry.services.inspection import inspect_artifact
from mlreg.registry.services.registration import Registration, register_version
from mlreg.registry.services.uploads import BlobFile, keep_blob, send_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.domain.manifests import Manifest
    from mlreg.registry.store.database import WriteSession


def register_trained(attempt: Attempt, folder: Path, training: Training, trained: Trained) -> int:
    """Register the child's artifact with its provenance and return the version's number."""
    manifest = send_folder(attempt.store, folder / "out")
    stage = send_stage(attempt, folder, training)
    contract = trained.contract
    flavour = inspect_artifact(attempt.store, manifest, lambda: contract)
    provenance = _provenance(training, trained)
    registration = Registration(
        model=training.model.name,
        manifest=manifest,
        provenance=provenance,
        flavour=flavour,
        metrics=_metrics(trained),
        tags={**code_tags(), **_measured_on(training, trained)},
        allow_missing=frozenset({"git"} if provenance.git is None else ()),
        description=training.specification.reason,
        stage=stage,
        signature=sign_trained(attempt, training, manifest),
    )
    now = attempt.clock.now()
    with attempt.effect() as session:
        run = rows.lock_run(session, training.run.id or 0) or training.run
        _keep_blobs(session, attempt, [manifest, stage.manifest], now)
        version = register_version(session, registration, actor=training.actor, now=now)
        _check_rows(session, training)
        _keep_profile(session, folder, training, version.number, trained, now)
        run.version, run.lane, run.parent = version.number, trained.lane, trained.parent
        run.train_seconds = trained.answer.seconds
        session.add(run)
    return version.number


def _check_rows(session: WriteSession, training: Training) -> None:
    """Register nothing that rows were trained on, or lie beside, which were erased meanwhile.

    The registration holds the model, so no erasure of its log can come in between.
    """
    for snapshot in (training.snapshot, training.holdout):
        if snapshot is not None:
            check_whole(session, snapshot.body)


def _provenance(training: Training, trained: Trained) -> Provenance:
    result, specification = trained.answer.result, training.specification
    git = specification.git
    return Provenance(
        git=None if git is None else GitState(**git),
        snapshots=(training.snapshot.digest,),
        feature_contract=trained.contract,
        hyperparameters=hyperparameters_of(result),
        seeds=dict(result["seeds"]),
        environment=environment_here(),
        trainer=str(result["trainer"]),
        lane=trained.lane,
        parent=trained.parent,
        run_id=training.run.id,
        train_start=training.snapshot.body.range.start,
        train_end=training.snapshot.body.range.end,
        duration_seconds=round(trained.answer.seconds, 3),
        peak_memory_bytes=trained.answer.peak_bytes,
    )


def hyperparameters_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters of a version, from what the child answered.

    Of trees nothing is said where the model is of none.
    """
    grown = {name: result[name] for name in ("trees", "new_trees") if result[name] is not None}
    steps = {"steps": result["steps"]} if result["steps"] else {}
    searched = {"search": result["search"]} if result.get("search") else {}
    return {
        **dict(result["params"]),
        **grown,
        "outages": result["augmented"],
        **steps,
        **searched,
    }


def _metrics(trained: Trained) -> dict[str, float]:
    result = trained.answer.result
    found = {name: result.get(name) for name in ("rows", "unlabelled", "positives")}
    metrics = {f"train_{name}": float(value) for name, value in found.items() if value is not None}
    holdout = result["holdout"]
    if holdout is not None:
        metrics = {**metrics, **holdout["metrics"], "holdout_rows": float(holdout["rows"])}
    reported = {f"reported_{name}": value for name, value in result["reported"].items()}
    return {**metrics, **reported, "train_seconds": trained.answer.seconds}


def _measured_on(training: Training, trained: Trained) -> dict[str, str]:
    if training.holdout is None or trained.answer.result["holdout"] is None:
        return {}
    return {"measured_on": training.holdout.digest}


@lru_cache(maxsize=1)
def environment_here() -> EnvironmentRecord:
    """Return the machine and the packages of this worker, whose children train."""
    return EnvironmentRecord(**capture_environment().model_dump())


@lru_cache(maxsize=1)
def code_tags() -> dict[str, str]:
    """Return the versions of the code that trained: mlreg's, and the digest of its trainers."""
    content = hashlib.sha256()
    for folder in trainers.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            content.update(path.read_bytes())
    digest = f"sha256:{content.hexdigest()}"
    return {"mlreg": version_of_package("mlreg"), "trainer_digest": digest}


def _keep_blobs(
    session: WriteSession, attempt: Attempt, manifests: Iterable[Manifest], now: datetime
) -> None:
    for file in chain.from_iterable(manifest.files for manifest in manifests):
        keep_blob(session, attempt.store, BlobFile(file.digest, file.size), now=now)


def _keep_profile(
    session: WriteSession,
    folder: Path,
    training: Training,
    number: int,
    trained: Trained,
    now: datetime,
) -> None:
    """Keep the reference profile, under the bins that the contract has in the end."""
    digest, made = trained.contract.digest, (folder / BINS).read_bytes()
    kept = profile_rows.keep_bins(session, digest, made, now)
    bins = Bins.from_bytes(kept)
    if kept == made:
        profile = Profile.from_bytes((folder / PROFILE).read_bytes(), bins)
    else:  # another run of this contract was first to make its bins
        profile = profile_table(pq.read_table(folder / ROWS), bins)
    labels = training_labels(training.model, bins, _labels(folder))
    store_reference(session, training.model.id or 0, number, digest, profile, labels=labels)


def _labels(folder: Path) -> NDArray[np.float64]:
    """Return the labels of the training rows; not-a-number where there is none."""
    column = pq.read_table(folder / ROWS, columns=["label"])["label"]
    return np.asarray(column.cast("double").to_numpy())
