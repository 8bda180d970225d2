"""A run, step by step: freeze the rows, (recall,) train, register, judge, promote.

What always holds: each step's effect commits under the lease of the attempt, together with the mark
on the run that says it is done, so an attempt that follows a crash goes on after the last finished
step and registers nothing twice. How it ends is told in `concluding.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mlreg.controller.domain.selections.selection import spelt
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services import budgets, draining, snapshots
from mlreg.controller.services.alerts import alert_if_dead, alert_of_failed_run
from mlreg.controller.services.ancestry import iteration_of
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.concluding import RunResult, conclude
from mlreg.controller.services.costing import record_attempt
from mlreg.controller.services.judging_run import (
    Question,
    find_rivals,
    judge_challenger,
)
from mlreg.controller.services.recalling import Recalled, Recalling, recall
from mlreg.controller.services.registering import register_trained
from mlreg.controller.services.run_events import tell_of_run
from mlreg.controller.services.run_folder import open_folder
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.run_work import RunWork, locked_run, read_run
from mlreg.controller.services.runs import OPEN_STATES, RunEndedError
from mlreg.controller.services.selecting import first_row, freeze_window, judged_window
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.services.training import Training, train_challenger
from mlreg.controller.store import runs as rows
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.actor import Actor, ActorKind
from mlreg.registry.services import catalog
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.lineage import add_edges

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.controller.domain.specification import RunWindows
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.leases import Ended
    from mlreg.controller.services.snapshots import Snapshot
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import ReadSession, WriteSession


def perform(attempt: Attempt) -> None:
    """Do what is left of a run."""
    run_id = cast("int", attempt.lease.payload["run_id"])
    work = _begin(attempt, run_id)
    if work is None:
        return
    _freeze(work)
    recalled = _recall(work)
    if recalled is not None:
        conclude(work, RunResult(recalled.number, recalled.judged, recalled.snapshot, is_new=False))
        return
    with open_folder(attempt, f"run-{run_id}") as folder:
        version = _train(work, folder)
        conclude(work, _judge(work, folder, version))


def _begin(attempt: Attempt, run_id: int) -> RunWork | None:
    """Mark the run as running; None when a budget holds it, and its job waits for that."""
    now = attempt.clock.now()
    with attempt.effect() as session:
        run = locked_run(session, run_id)
        if run.state not in OPEN_STATES:
            raise RunEndedError(run_id=run_id, state=run.state)
        specification = RunSpecification.read(run.specification, f"run {run_id}")
        wall_seconds = specification.retrain.limits.wall.total_seconds()
        hold = budgets.admit(session, run, wall_seconds, now).hold
        if hold is not None:
            attempt.hold(session, hold)
            return None
        run.state, run.error = "running", None
        run.attempt += 1
        run.started_at = run.started_at or now
        session.add(run)
        session.flush()
        model = model_of(session, run.model_id)
    work = RunWork(
        attempt=attempt,
        run_id=run_id,
        model=model,
        specification=specification,
        asked_at=run.created_at,
        actor=_actor(run),
        log=RunLogWriter(attempt, run_id, run.attempt),
    )
    work.log.say(f"attempt {run.attempt}: {run.lane} run for {model.name} ({run.cause})")
    if work.specification.lane_because is not None:
        work.log.say(f"lane {run.lane}: {work.specification.lane_because}")
    return work


def _actor(run: Run) -> Actor:
    kind: ActorKind = "policy" if run.firing_id is not None else "service"
    return Actor(name=run.requested_by, kind=kind, role="controller")


def _freeze(work: RunWork) -> None:
    """Freeze the rows to train on and the rows to judge on, once for all attempts."""
    attempt = work.attempt
    with attempt.database.reading() as session:
        if read_run(session, work.run_id).snapshot is not None:
            return
    now = attempt.clock.now()
    draining.drain_model(attempt.database, attempt.store, work.model.id or 0, now=now)
    windows, evaluate = _windows(work)
    found = [_find_source(work, window, now) for window in (windows.train, evaluate)]
    with attempt.effect() as session:
        run = locked_run(session, work.run_id)
        train, judged_on = (
            None
            if window is None
            else freeze_window(
                session,
                work.model,
                window,
                work.asked_at,
                left_out=left_out,
                source=source,
                parts=attempt.sources,
                actor=work.actor,
                now=now,
            )
            for window, left_out, source in zip(
                (windows.train, evaluate), (windows.left_out, ()), found, strict=True
            )
        )
        run.snapshot = None if train is None else train.digest
        run.evaluate_snapshot = None if judged_on is None else judged_on.digest
        session.add(run)
        if train is not None:
            source = ("snapshot", train.digest)
            add_edges(session, [source], ("run", str(run.id)), now, model_id=run.model_id)
    _say_windows(work, windows, evaluate)
    failpoint("run_frozen")


def _say_windows(work: RunWork, windows: RunWindows, evaluate: Interval | None) -> None:
    if work.specification.data.select is not None:
        work.log.say(f"selects {spelt(work.specification.data.select)}")
    work.log.say(
        f"trains on {_spell(windows.train)}, is judged on {_spell(evaluate)}"
        f" (labels until {windows.labels_until.isoformat()})"
    )


def _windows(work: RunWork) -> tuple[RunWindows, Interval | None]:
    """Return the windows of a run, and what is left to judge on: rows that none of them knows."""
    with work.attempt.database.reading() as session:
        run = read_run(session, work.run_id)
        first = first_row(session, work.model, work.specification.data)
        windows = work.specification.windows(work.asked_at, first)
        rivals = find_rivals(session, work.model, run.environment).roles.values()
        parent = work.specification.start_from
        numbers = [*rivals, *([] if parent is None else [parent])]
        return windows, judged_window(session, work.model, numbers, windows.evaluate)


def _find_source(work: RunWork, window: Interval | None, now: datetime) -> FrozenSource | None:
    """Freeze the source of a window, None where rows come from the log, or none are wanted."""
    if window is None:
        return None
    data, parts = work.specification.data, work.attempt.sources
    found = freeze_source(parts, work.model, data, window, now=now)
    if found is not None:
        work.log.say(f"froze {len(found.files)} files of {found.place} ({found.size:,} bytes)")
    return found


def _train(work: RunWork, folder: Path) -> int:
    """Train and register the challenger, unless an earlier attempt has; return its number."""
    with work.attempt.database.reading() as session:
        run = read_run(session, work.run_id)
        if run.version is not None:
            return run.version
        training = Training(
            model=work.model,
            run=run,
            specification=work.specification,
            snapshot=snapshots.get_snapshot(session, run.snapshot or ""),
            holdout=_holdout_of(session, run),
            champion=find_rivals(session, work.model, run.environment).champion,
            actor=work.actor,
            log=work.log,
        )
    trained = train_challenger(work.attempt, folder, training)
    failpoint("run_trained")
    number = register_trained(work.attempt, folder, training, trained)
    failpoint("run_registered")
    work.log.say(f"registered version {number}")
    return number


def _holdout_of(session: ReadSession, run: Run) -> Snapshot | None:
    """Return the rows of a run's evaluation window, None when none were left to freeze."""
    digest = run.evaluate_snapshot
    return None if digest is None else snapshots.get_snapshot(session, digest)


def _recall(work: RunWork) -> Recalled | None:
    """Look whether an older version is what is wanted, where the policy says so."""
    rule = work.specification.memory
    with work.attempt.database.reading() as session:
        run = read_run(session, work.run_id)
        snapshot = _holdout_of(session, run)
        changed = None if rule is None else _iteration(session, work, run)
    if rule is None or run.version is not None or snapshot is None:
        return None
    if changed is not None:
        work.log.say(f"no older version is looked at, this is a model iteration: {changed}")
        return None
    question = _question(work, run, 0, snapshot)
    return recall(
        work.attempt,
        Recalling(work.model, rule, snapshot, question, work.actor, work.log),
    )


def _iteration(session: ReadSession, work: RunWork, run: Run) -> str | None:
    """Say what makes this another model than the champion: an older one is not what it wants."""
    champion = find_rivals(session, work.model, run.environment).champion
    if champion is None:
        return None
    version = catalog.get_version(session, work.model, champion)
    return iteration_of(session, work.model, work.specification.retrain, version)


def _judge(work: RunWork, folder: Path, version: int) -> RunResult:
    with work.attempt.database.reading() as session:
        run = read_run(session, work.run_id)
        snapshot = _holdout_of(session, run)
    judged = judge_challenger(work.attempt, folder, _question(work, run, version, snapshot))
    failpoint("run_judged")
    return RunResult(version, judged, snapshot)


def _question(work: RunWork, run: Run, version: int, snapshot: Snapshot | None) -> Question:
    return Question(
        model=work.model,
        environment=run.environment,
        challenger=version,
        snapshot=snapshot,
        gates=work.specification.gates,
        trainer=work.specification.retrain.trainer,
        seed=work.specification.retrain.seed,
        on_lines=work.log.add,
    )


def ended(session: WriteSession, job: Ended, now: datetime) -> None:
    """Let the run follow its job: queued again, failed, or dead with an alert."""
    run = rows.lock_run(session, cast("int", job.payload["run_id"]))
    if run is None or run.state not in OPEN_STATES:
        return
    record_attempt(session, run, job.job_id)
    run.state, run.error = job.state, job.error
    if job.state not in OPEN_STATES:
        run.ended_at = now
    session.add(run)
    session.flush()
    rows.add_lines(session, run.id or 0, run.attempt, [f"{job.state}: {job.error}"], now)
    alert_if_dead(session, job, now)
    if run.state in {"failed", "dead"}:
        tell_of_run(session, run, model_of(session, run.model_id).name, now)
    if run.state == "failed" and run.firing_id is not None:
        alert_of_failed_run(session, run, now)


def _spell(window: Interval | None) -> str:
    if window is None:
        return "no rows (champion and anchor were trained on all of them)"
    return f"{window.start.isoformat()} to {window.end.isoformat()}"


HANDLER = Handler(perform, ended)
