"""A run, step by step: freeze the rows, train, register, judge, promote.

What always holds: each step's effect commits under the lease of the attempt, together with the mark
on the run that says it is done, so an attempt that follows a crash goes on after the last finished
step and registers nothing twice. A verdict that is not `accepted` changes no deployment, nor does
one that was reached against another revision than the present.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from mlreg.controller.domain.selections.selection import spelt
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services import budgets, decisions, draining, snapshots
from mlreg.controller.services.alerts import alert_if_dead, alert_of_failed_run
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.costing import record_attempt
from mlreg.controller.services.judging_run import (
    Judged,
    Question,
    find_rivals,
    judge_challenger,
)
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.recording import lock_before_audit, record_judged
from mlreg.controller.services.registering import register_trained
from mlreg.controller.services.run_events import tell_of_run
from mlreg.controller.services.run_folder import open_folder
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.runs import OPEN_STATES, RunEndedError, RunNotFoundError
from mlreg.controller.services.selecting import first_logged, freeze_window, judged_window
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.services.training import Training, train_challenger
from mlreg.controller.store import runs as rows
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.actor import Actor, ActorKind
from mlreg.registry.domain.approvals import ApprovalRequiredError
from mlreg.registry.domain.errors import IntegrityError, RefusedError
from mlreg.registry.services import approvals, deployments
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.lineage import add_edges
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.controller.domain.specification import RunWindows
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.jobs import Ended
    from mlreg.controller.services.snapshots import Snapshot
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Decision

MAX_REASON = 1_000


@dataclass(frozen=True, slots=True)
class _Work:
    """One attempt at one run."""

    attempt: Attempt
    run_id: int
    model: Model
    specification: RunSpecification
    asked_at: datetime
    actor: Actor
    log: RunLogWriter


def perform(attempt: Attempt) -> None:
    """Do what is left of a run."""
    run_id = cast("int", attempt.lease.payload["run_id"])
    work = _begin(attempt, run_id)
    if work is None:
        return
    _freeze(work)
    with open_folder(attempt, f"run-{run_id}") as folder:
        version = _train(work, folder)
        _judge(work, folder, version)


def _begin(attempt: Attempt, run_id: int) -> _Work | None:
    """Mark the run as running; None when a budget holds it, and its job waits for that."""
    now = attempt.clock.now()
    with attempt.effect() as session:
        run = _locked(session, run_id)
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
    work = _Work(
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


def _freeze(work: _Work) -> None:
    """Freeze the rows to train on and the rows to judge on, once for all attempts."""
    attempt = work.attempt
    with attempt.database.reading() as session:
        if _read(session, work.run_id).snapshot is not None:
            return
    now = attempt.clock.now()
    draining.drain_model(attempt.database, attempt.store, work.model.id or 0, now=now)
    windows, evaluate = _windows(work)
    found = [_find_source(work, window, now) for window in (windows.train, evaluate)]
    with attempt.effect() as session:
        run = _locked(session, work.run_id)
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
    if work.specification.data.select is not None:
        work.log.say(f"selects {spelt(work.specification.data.select)}")
    work.log.say(
        f"trains on {_spell(windows.train)}, is judged on {_spell(evaluate)}"
        f" (labels until {windows.labels_until.isoformat()})"
    )
    failpoint("run_frozen")


def _windows(work: _Work) -> tuple[RunWindows, Interval | None]:
    """Return the windows of a run, and what is left to judge on: rows that none of them knows."""
    with work.attempt.database.reading() as session:
        run = _read(session, work.run_id)
        first = first_logged(session, work.model)
        windows = work.specification.windows(work.asked_at, first)
        rivals = find_rivals(session, work.model, run.environment).roles.values()
        parent = work.specification.start_from
        numbers = [*rivals, *([] if parent is None else [parent])]
        return windows, judged_window(session, work.model, numbers, windows.evaluate)


def _find_source(work: _Work, window: Interval | None, now: datetime) -> FrozenSource | None:
    """Freeze the source of a window, None where rows come from the log, or none are wanted."""
    if window is None:
        return None
    data, parts = work.specification.data, work.attempt.sources
    found = freeze_source(parts, work.model, data, window, now=now)
    if found is not None:
        work.log.say(f"froze {len(found.files)} files of {found.place} ({found.size:,} bytes)")
    return found


def _train(work: _Work, folder: Path) -> int:
    """Train and register the challenger, unless an earlier attempt has; return its number."""
    with work.attempt.database.reading() as session:
        run = _read(session, work.run_id)
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


def _judge(work: _Work, folder: Path, version: int) -> None:
    with work.attempt.database.reading() as session:
        run = _read(session, work.run_id)
        snapshot = _holdout_of(session, run)
    question = Question(
        model=work.model,
        environment=run.environment,
        challenger=version,
        snapshot=snapshot,
        gates=work.specification.gates,
        trainer=work.specification.retrain.trainer,
        seed=work.specification.retrain.seed,
        on_lines=work.log.add,
    )
    judged = judge_challenger(work.attempt, folder, question)
    failpoint("run_judged")
    work.log.say(f"{judged.judgement['verdict']}: {judged.judgement.get('reason', '')}")
    _finish(work, run, version, judged)


def _finish(work: _Work, run: Run, version: int, judged: Judged) -> None:
    """Record the decision, promote if it says so, and end run and job, all at once."""
    now = work.attempt.clock.now()
    with work.attempt.finish() as session:
        run = _locked(session, work.run_id)
        decision = _record(session, work, run, version, judged, now)
        said = _promote_if_accepted(session, work, run, decision, judged, now)
        rows.add_lines(session, work.run_id, run.attempt, [said], now)
        run.state, run.decision_id, run.ended_at = "succeeded", decision.id, now
        session.add(run)
        record_attempt(session, run, work.attempt.lease.job_id)
        tell_of_run(session, run, work.model.name, now)
        work.attempt.outcome = {"decision_id": decision.id, "verdict": decision.verdict}
        failpoint("run_promoted")


def _record(
    session: WriteSession,
    work: _Work,
    run: Run,
    version: int,
    judged: Judged,
    now: datetime,
) -> Decision:
    lock_before_audit(session, work.model, run.environment)
    return record_judged(
        session,
        judged,
        decisions.JudgedPair(
            model=work.model,
            environment=run.environment,
            challenger=version,
            champion=judged.rivals.champion,
            anchor=judged.rivals.anchor,
            snapshot=run.evaluate_snapshot,
            run_id=work.run_id,
        ),
        actor=work.actor,
        now=now,
    )


def _promote_if_accepted(
    session: WriteSession,
    work: _Work,
    run: Run,
    decision: Decision,
    judged: Judged,
    now: datetime,
) -> str:
    """Promote what may be promoted; return in one line what was done, or why nothing was."""
    held = _why_held(session, work, run, decision)
    if held is not None:
        return f"not promoted: {held}"
    change = deployments.Change(
        model=work.model.name,
        environment=run.environment,
        actor=work.actor,
        reason=f"run {work.run_id}: {judged.judgement.get('reason', '')}"[:MAX_REASON],
        expected=judged.rivals.revision,
    )
    try:
        with session.begin_nested():
            promoted = deployments.promote(
                session,
                change,
                version=decision.challenger,
                decision_id=decision.id,
                cause="policy",
                now=now,
            )
    except ApprovalRequiredError as error:
        approvals.request(session, change, version=decision.challenger, cause="policy", now=now)
        return f"waits to be promoted: {error}. {error.hint}"
    except (RefusedError, IntegrityError) as error:
        return f"not promoted: {error}"
    return f"promoted: version {decision.challenger} is champion since revision {promoted.revision}"


def _why_held(session: ReadSession, work: _Work, run: Run, decision: Decision) -> str | None:
    if decision.verdict != "accepted":
        return f"the verdict is {decision.verdict}"
    if not work.specification.auto_promote:
        return "this run leaves it to people (`mlreg promote`)"
    if policy_in_force(session, run.model_id, run.environment) is None:
        return "the policy is disabled"
    return None


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


def _read(session: ReadSession, run_id: int) -> Run:
    found = rows.find_run(session, run_id)
    if found is None:
        raise RunNotFoundError(run_id=run_id)
    return found[0]


def _locked(session: WriteSession, run_id: int) -> Run:
    run = rows.lock_run(session, run_id)
    if run is None:
        raise RunNotFoundError(run_id=run_id)
    return run


def _spell(window: Interval | None) -> str:
    if window is None:
        return "no rows (champion and anchor were trained on all of them)"
    return f"{window.start.isoformat()} to {window.end.isoformat()}"


HANDLER = Handler(perform, ended)
