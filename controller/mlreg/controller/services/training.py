"""Training a challenger in a child, and registering what came of it.

What always holds: the feature contract of the champion is kept to; a stateful lane begins with the
champion and nothing else, and without one it becomes a full retrain; the version, its reference
profile, the contract's bins and the mark on the run are one transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as version_of_package
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow.parquet as pq

from mlreg.client.provenance import capture_environment
from mlreg.controller import trainers
from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.lanes import ContinueRule, Lane
from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services.profiles import profile_table, store_reference
from mlreg.controller.services.run_folder import (
    ChildAnswer,
    ChildCall,
    ModelSource,
    call_child,
    files_of,
    find_source,
    place_model,
    write_rows,
)
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.snapshots import Snapshot, read_snapshot
from mlreg.controller.store import profiles as profile_rows
from mlreg.controller.store import runs as rows
from mlreg.controller.store.tables import Run
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.provenance import EnvironmentRecord, GitState, Provenance
from mlreg.registry.services import catalog
from mlreg.registry.services.inspection import inspect_artifact
from mlreg.registry.services.registration import Registration, register_version
from mlreg.registry.services.uploads import BlobFile, keep_blob, send_folder
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.domain.manifests import Manifest
    from mlreg.registry.store.database import ReadSession, WriteSession

ENTRY = "mlreg.controller.trainers.child:train"
ROWS = "train.parquet"
BINS = "bins.bin"
PROFILE = "profile.bin"
PARENT = "parent"


class NoRowsError(RefusedError):
    """Nothing was logged in the training window."""

    code = "no_training_rows"
    hint = "Log predictions and labels of that time, or train on a longer window."

    def __init__(self, *, start: datetime, end: datetime) -> None:
        super().__init__(
            f"no predictions of {start.isoformat()} to {end.isoformat()} can be trained on"
        )


class NoFeaturesError(RefusedError):
    """It is not known which columns are features."""

    code = "no_features"
    hint = "Create the model with --features, or promote a version with a feature contract."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} declares no features and no champion has a contract")


@dataclass(frozen=True, slots=True)
class Training:
    """What a run trains, on which rows, and from which champion it may begin."""

    model: Model
    run: Run
    specification: RunSpecification
    snapshot: Snapshot
    champion: int | None
    actor: Actor
    log: RunLogWriter


@dataclass(frozen=True, slots=True)
class Trained:
    """What the child made.

    Attributes:
        lane: how it was trained in the end.
        parent: the version that a stateful lane began with.
        bins_known: whether the contract had its bins before.
    """

    lane: Lane
    parent: int | None
    bins_known: bool
    answer: ChildAnswer

    @property
    def contract(self) -> FeatureContract:
        """The feature contract that it keeps to."""
        return FeatureContract.from_json(self.answer.result["contract"])


@dataclass(frozen=True, slots=True)
class _Plan:
    lane: Lane
    source: ModelSource | None
    bins: bytes | None

    @property
    def parent(self) -> ModelSource | None:
        """The source that a stateful lane begins with."""
        return None if self.lane == "full" else self.source


def train_challenger(attempt: Attempt, folder: Path, training: Training) -> Trained:
    """Read the rows and train on them in a child.

    Raises:
        NoRowsError, NoFeaturesError: there is nothing to train on.
        ChildRefusedError, ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    with attempt.database.reading() as session:
        plan = _plan(session, training)
    _place_rows(attempt, folder, training)
    if plan.parent is not None:
        place_model(attempt.store, plan.parent, folder, PARENT)
    if plan.bins is not None:
        (folder / BINS).write_bytes(plan.bins)
    call = ChildCall(ENTRY, _job(training, plan), training.log.add)
    answer = call_child(attempt, folder, call)
    result = answer.result
    training.log.say(
        f"trained {result['trees']} trees on {result['rows']} rows in {answer.seconds:.2f} s,"
        f" peak memory {answer.peak_bytes / 2**20:.0f} MiB"
    )
    parent = None if plan.parent is None else plan.parent.number
    return Trained(plan.lane, parent, plan.bins is not None, answer)


def register_trained(attempt: Attempt, folder: Path, training: Training, trained: Trained) -> int:
    """Register the child's artifact with its provenance and return the version's number."""
    manifest = send_folder(attempt.store, folder / "out")
    contract = trained.contract
    flavour = inspect_artifact(attempt.store, manifest, contract)
    provenance = _provenance(training, trained)
    registration = Registration(
        model=training.model.name,
        manifest=manifest,
        provenance=provenance,
        flavour=flavour,
        metrics=_metrics(trained),
        tags=_tags(),
        allow_missing=frozenset({"git"} if provenance.git is None else ()),
        description=training.specification.reason,
    )
    now = attempt.clock.now()
    with attempt.effect() as session:
        run = rows.lock_run(session, training.run.id or 0) or training.run
        _keep_blobs(session, attempt, manifest, now)
        version = register_version(session, registration, actor=training.actor, now=now)
        _keep_profile(session, folder, version.model_id, version.number, trained, now)
        run.version, run.lane, run.parent = version.number, trained.lane, trained.parent
        run.train_seconds = trained.answer.seconds
        session.add(run)
    return version.number


def _plan(session: ReadSession, training: Training) -> _Plan:
    source = None
    if training.champion is not None:
        champion = catalog.get_version(session, training.model, training.champion)
        source = find_source(session, champion)
    lane = cast("Lane", training.run.lane)
    if lane != "full" and source is None:
        training.log.say(f"no champion to {lane} from: this is a full retrain")
        lane = "full"
    if source is None and training.model.feature_schema is None:
        raise NoFeaturesError(model=training.model.name)
    bins = None
    if source is not None:
        bins = profile_rows.find_bins(session, source.contract.digest)
    return _Plan(lane, source, bins)


def _place_rows(attempt: Attempt, folder: Path, training: Training) -> None:
    body = training.snapshot.body
    table = read_snapshot(attempt.store, body) if body.predictions else None
    if table is None or table.num_rows == 0:
        raise NoRowsError(start=body.range.start, end=body.range.end)
    write_rows(folder, ROWS, table)


def _job(training: Training, plan: _Plan) -> dict[str, Any]:
    rule = training.specification.retrain
    source = plan.source
    contract = None if source is None else source.contract.to_document()
    adding = (rule.lanes.continue_ or ContinueRule()) if plan.lane == "continue" else None
    outages = rule.outages
    return {
        "format": 1,
        "trainer": rule.trainer,
        "lane": plan.lane,
        "data": [ROWS],
        "target": catalog.target_contract_of(training.model).to_json(),
        "schema": training.model.feature_schema,
        "contract": contract,
        "params": dict(rule.params),
        "rounds": rule.rounds if adding is None else adding.rounds,
        "max_trees": None if adding is None else adding.max_trees,
        "seed": rule.seed,
        "outages": None if outages is None else outages.model_dump(mode="json"),
        "parent": None if plan.parent is None else files_of(PARENT),
        "bins": None if plan.bins is None else BINS,
    }


def _provenance(training: Training, trained: Trained) -> Provenance:
    result, specification = trained.answer.result, training.specification
    git = specification.git
    return Provenance(
        git=None if git is None else GitState(**git),
        snapshots=(training.snapshot.digest,),
        feature_contract=trained.contract,
        hyperparameters=_hyperparameters(training, result),
        seeds=dict(result["seeds"]),
        environment=_environment(),
        trainer=str(result["trainer"]),
        lane=trained.lane,
        parent=trained.parent,
        run_id=training.run.id,
        train_start=training.snapshot.body.range.start,
        train_end=training.snapshot.body.range.end,
    )


def _hyperparameters(training: Training, result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **dict(result["params"]),
        "rounds": training.specification.retrain.rounds,
        "trees": result["trees"],
        "new_trees": result["new_trees"],
        "outages": result["augmented"],
    }


def _metrics(trained: Trained) -> dict[str, float]:
    result = trained.answer.result
    found = {name: result.get(name) for name in ("rows", "unlabelled", "positives")}
    metrics = {f"train_{name}": float(value) for name, value in found.items() if value is not None}
    return {**metrics, "train_seconds": trained.answer.seconds}


@lru_cache(maxsize=1)
def _environment() -> EnvironmentRecord:
    return EnvironmentRecord(**capture_environment().model_dump())


@lru_cache(maxsize=1)
def _tags() -> dict[str, str]:
    """Return the versions of the code that trained: mlreg's, and the digest of its trainers."""
    content = hashlib.sha256()
    for folder in trainers.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            content.update(path.read_bytes())
    digest = f"sha256:{content.hexdigest()}"
    return {"mlreg": version_of_package("mlreg"), "trainer_digest": digest}


def _keep_blobs(session: WriteSession, attempt: Attempt, manifest: Manifest, now: datetime) -> None:
    for file in manifest.files:
        keep_blob(session, attempt.store, BlobFile(file.digest, file.size), now=now)


def _keep_profile(
    session: WriteSession,
    folder: Path,
    model_id: int,
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
    store_reference(session, model_id, number, digest, profile)
