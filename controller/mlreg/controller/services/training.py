"""Training a challenger in a child.

What always holds: the feature contract of the champion is kept to, as long as it is what the model
declares, and only a full retrain adds to it (categories that came since, behind the others); a
stateful lane begins with the champion, or with the version that was asked for, and nothing else;
what cannot be continued is retrained in full, unless somebody named what to continue: then it is
refused. Each step of a chain has a seed of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from mlreg.controller.domain.commands import SealedCommand
from mlreg.controller.domain.lanes import ASKED_FOR, NOT_TO_CONTINUE, Lane
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.domain.trainer_kinds import lanes_of
from mlreg.controller.executors.executor import Limits, Resources
from mlreg.controller.services.ancestry import iteration_of
from mlreg.controller.services.checking import check_training_rows
from mlreg.controller.services.invariants import find_invariants
from mlreg.controller.services.recipe import BINS, PARENT, ROWS, Recipe
from mlreg.controller.services.run_folder import (
    ChildAnswer,
    ChildCall,
    ChildRefusedError,
    ModelSource,
    call_child,
    files_of,
    find_source,
    place_model,
    write_rows,
)
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.selected_rows import read_training_rows
from mlreg.controller.services.snapshot_rows import read_rows
from mlreg.controller.services.snapshots import Snapshot
from mlreg.controller.services.trainer_commands import seal
from mlreg.controller.store import profiles as profile_rows
from mlreg.controller.store.tables import Run
from mlreg.controller.trainers.seeds import step_seed
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.contracts import (
    ContractMismatchError,
    FeatureContract,
    check_contract,
)
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog
from mlreg.registry.services.chains import chain_of
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from mlreg.controller.domain.commands import Commands
    from mlreg.controller.domain.policy import RetrainRule
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Version

ENTRY = "mlreg.controller.trainers.child:train"
PROFILE = "profile.bin"
HOLDOUT = "holdout.parquet"
MOST_SHOWN = 5


class NoRowsError(RefusedError):
    """Nothing was logged, or is in the source, in the training window."""

    code = "no_training_rows"
    hint = "Log predictions and labels of that time, or train on a longer window or another source."

    def __init__(self, *, start: datetime, end: datetime) -> None:
        super().__init__(f"no rows of {start.isoformat()} to {end.isoformat()} can be trained on")


class NoFeaturesError(RefusedError):
    """It is not known which columns are features."""

    code = "no_features"
    hint = "Create the model with --features, or promote a version with a feature contract."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} declares no features and no champion has a contract")


class CannotContinueError(RefusedError):
    """The version that a run was told to begin with cannot be continued."""

    code = "cannot_continue"
    hint = "Begin with another version, or retrain in full."

    def __init__(self, *, number: int, cause: str) -> None:
        super().__init__(f"version {number} cannot be continued: {cause}")


@dataclass(frozen=True, slots=True)
class Training:
    """What a run trains, on which rows, and from which champion it may begin.

    Attributes:
        holdout: the rows that it is measured on, and never trained on; None when there are none.
    """

    model: Model
    run: Run
    specification: RunSpecification
    snapshot: Snapshot
    holdout: Snapshot | None
    champion: int | None
    actor: Actor
    log: RunLogWriter

    @property
    def lane_was_named(self) -> bool:
        """Whether a person named the lane; else a policy chose it, and may choose another."""
        named = self.specification.lane_because in {None, ASKED_FOR}
        return self.run.firing_id is None and named


@dataclass(frozen=True, slots=True)
class Trained:
    """What the child made.

    Attributes:
        lane: how it was trained in the end.
        parent: the version that a stateful lane began with.
    """

    lane: Lane
    parent: int | None
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
    command: SealedCommand | None
    seed: int

    @property
    def parent(self) -> ModelSource | None:
        """The source that a stateful lane begins with."""
        return None if self.lane == "full" else self.source


def train_challenger(attempt: Attempt, folder: Path, training: Training) -> Trained:
    """Read the rows and train on them in a child.

    A stateful lane that a policy chose becomes a full retrain where the trainer finds that the
    parent cannot be continued (another objective, a full tree budget, rows that grow no tree).

    Raises:
        NoRowsError, NoFeaturesError: there is nothing to train on.
        InvariantBrokenError: the rows break what is declared of them.
        ChildRefusedError, ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    with attempt.database.reading() as session:
        plan = _plan(session, training, attempt.commands)
    _place_rows(attempt, folder, training)
    stage = {"holdout": HOLDOUT if _place_holdout(attempt, folder, training) else None}
    try:
        answer = _train_in_child(attempt, folder, training, plan, stage)
    except ChildRefusedError as refused:
        if refused.code not in NOT_TO_CONTINUE or training.lane_was_named:
            raise
        training.log.say(f"{refused}: this is a full retrain")
        seed = step_seed(training.specification.retrain.seed, "full", 0)
        plan = replace(plan, lane="full", seed=seed)
        answer = _train_in_child(attempt, folder, training, plan, stage)
    result = answer.result
    trees = "a model" if result["trees"] is None else f"{result['trees']} trees"
    training.log.say(
        f"trained {trees} on {result['rows']} rows in {answer.seconds:.2f} s,"
        f" peak memory {answer.peak_bytes / 2**20:.0f} MiB"
    )
    parent = None if plan.parent is None else plan.parent.number
    trained = Trained(plan.lane, parent, answer)
    if plan.source is not None:
        for line in _learnt(plan.source.contract, trained.contract):
            training.log.say(line)
    return trained


def _learnt(before: FeatureContract, after: FeatureContract) -> Iterator[str]:
    """Say which categories the contract has got, by feature."""
    for old, new in zip(before.features, after.features, strict=True):
        added = (new.categories or ())[len(old.categories or ()) :]
        if added:
            more = len(added) - MOST_SHOWN
            shown = ", ".join(added[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
            yield f"learnt new categories of {new.name!r}: {shown}"


def _train_in_child(
    attempt: Attempt,
    folder: Path,
    training: Training,
    plan: _Plan,
    stage: Mapping[str, str | None],
) -> ChildAnswer:
    rule = training.specification.retrain
    if plan.parent is not None:
        place_model(attempt.store, plan.parent, folder, PARENT)
    if plan.bins is not None:
        (folder / BINS).write_bytes(plan.bins)
    call = ChildCall(
        ENTRY,
        {**_job(training, plan, attempt.commands), "stage": stage},
        training.log.add,
        limits_of(rule, training.run.granted_seconds),
        executor=rule.executor.kind,
        resources=resources_of(rule, plan.lane),
    )
    return call_child(attempt, folder, call)


def resources_of(rule: RetrainRule, lane: Lane) -> Resources:
    """Return what a cluster sets aside; only a full retrain is shared by several workers."""
    executor = rule.executor
    workers = executor.workers if lane == "full" else 1
    return Resources(executor.cpus, executor.memory, executor.gpus, workers)


def limits_of(rule: RetrainRule, granted_seconds: float | None = None) -> Limits:
    """Return what the child of a training may take: by its rule, and by what budgets have left."""
    wall_seconds = rule.limits.wall.total_seconds()
    return Limits(
        wall_seconds=wall_seconds
        if granted_seconds is None
        else min(wall_seconds, granted_seconds),
        cpu_seconds=int(rule.limits.cpu.total_seconds()),
        address_space_bytes=rule.limits.memory,
        file_bytes=rule.limits.disk,
    )


def _plan(session: ReadSession, training: Training, commands: Commands) -> _Plan:
    rule, sealed = training.specification.retrain, None
    declared: tuple[Lane, ...] = ()
    if rule.command is not None:
        command = commands.get(rule.command, training.model.name)
        sealed, declared = seal(rule.command, command), command.lanes
    origin, source = _origin(session, training)
    lane, depth = cast("Lane", training.run.lane), 0
    obstacle = None
    if lane != "full":
        possible = lanes_of(rule.trainer, rule.estimator, declared)
        obstacle = _obstacle(session, training, origin, possible)
    if obstacle is not None:
        training.log.say(f"{obstacle}: this is a full retrain")
        lane = "full"
    if lane != "full" and origin is not None:
        depth = len(chain_of(session, training.model, origin))
        training.log.say(f"begins with version {origin.number}: step {depth} of its chain")
    source = _kept(training, source)
    if source is None and training.model.feature_schema is None:
        raise NoFeaturesError(model=training.model.name)
    bins = None
    if source is not None:
        bins = profile_rows.find_bins(session, source.contract.digest)
    return _Plan(lane, source, bins, sealed, step_seed(rule.seed, lane, depth))


def _origin(session: ReadSession, training: Training) -> tuple[Version | None, ModelSource | None]:
    """Return what a stateful lane would begin with, and where its files are."""
    number = training.specification.start_from or training.champion
    if number is None:
        return None, None
    version = catalog.get_version(session, training.model, number)
    return version, find_source(session, version)


def _kept(training: Training, source: ModelSource | None) -> ModelSource | None:
    """Return whose feature contract is kept to; none where the model declares other features."""
    schema = catalog.feature_schema_of(training.model)
    if source is None or schema is None:
        return source
    try:
        check_contract(source.contract, schema)
    except ContractMismatchError as error:
        training.log.say(f"the features are pinned anew: {error}")
        return None
    return source


def _obstacle(
    session: ReadSession,
    training: Training,
    origin: Version | None,
    possible: Collection[Lane],
) -> str | None:
    """Say why a stateful lane cannot be done; None when it can.

    Raises:
        CannotContinueError: it cannot, and what to begin with was asked for by name.
    """
    rule, lane = training.specification.retrain, training.run.lane
    if origin is None:
        return f"no champion to {lane} from"
    cause = None
    if lane not in possible:
        cause = f"the trainer {rule.trainer} has no lane {lane} for this"
    cause = cause or iteration_of(session, training.model, rule, origin)
    if cause is not None and training.specification.start_from is not None:
        raise CannotContinueError(number=origin.number, cause=cause)
    return cause


def _place_rows(attempt: Attempt, folder: Path, training: Training) -> None:
    body = training.snapshot.body
    table = None
    if not body.is_empty:
        table = read_training_rows(attempt.sources, training.model, body, training.specification)
    if table is None or table.num_rows == 0:
        raise NoRowsError(start=body.range.start, end=body.range.end)
    with attempt.database.reading() as session:
        declared = find_invariants(session, training.model)
    if declared is not None:
        check_training_rows(declared, table, training.log.say)
    write_rows(folder, ROWS, table)


def _place_holdout(attempt: Attempt, folder: Path, training: Training) -> bool:
    """Write the rows to be measured on, if there are any; whoever judges reads them anew."""
    snapshot = training.holdout
    if snapshot is None or snapshot.body.is_empty:
        return False
    table = read_rows(attempt.sources, training.model, snapshot.body)
    write_rows(folder, HOLDOUT, table)
    return bool(table.num_rows)


def _job(training: Training, plan: _Plan, commands: Commands) -> dict[str, Any]:
    source, parent = plan.source, plan.parent
    return Recipe(
        rule=training.specification.retrain,
        lane=plan.lane,
        target=catalog.target_contract_of(training.model).to_json(),
        schema=training.model.feature_schema,
        contract=None if source is None else source.contract,
        has_bins=plan.bins is not None,
        parent=None if parent is None else files_of(PARENT, parent, commands),
        command=plan.command,
        seed=plan.seed,
        learns_categories=plan.lane == "full",
    ).to_job()
