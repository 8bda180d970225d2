"""Runs: asked for, listed, followed, cancelled, tried again.

What always holds: a run and its job are written in one transaction; a run that is queued or running
has exactly one job that is so; what it is to do is frozen in its specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.client.states import became
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.domain.triggers import BY_HAND
from mlreg.controller.services import jobs
from mlreg.controller.services.costing import record_attempt
from mlreg.controller.services.policies import policy_of
from mlreg.controller.store import runs as rows
from mlreg.controller.store.costs import Sum, costs_of_runs
from mlreg.controller.store.tables import Run, RunLog
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.domain.pages import MAX_PAGE, Page, page_of
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.controller.domain.lanes import Lane
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "train"
MAX_ATTEMPTS = 3
PRIORITY, PRIORITY_BY_HAND = 100, 70
OPEN_STATES = frozenset({"queued", "running"})
MAX_LINES = 1_000


class RunNotFoundError(NotFoundError):
    """There is no run of that number."""

    code = "run_not_found"
    hint = "`mlreg run list` shows what there is."

    def __init__(self, *, run_id: int) -> None:
        super().__init__(f"no run {run_id}")


class RunEndedError(RefusedError):
    """The run has ended already."""

    code = "run_ended"

    def __init__(self, *, run_id: int, state: str) -> None:
        super().__init__(f"run {run_id} {became(state)} already")


class RunNotEndedError(RefusedError):
    """Only a run that failed, was cancelled or is dead can be tried again."""

    code = "run_not_ended"

    def __init__(self, *, run_id: int, state: str) -> None:
        super().__init__(
            f"run {run_id} {became(state)}; only a failed, cancelled or dead one is tried again"
        )


class NoSpecificationError(InvalidError):
    """Neither a policy nor the request says how to train."""

    code = "no_specification"
    hint = (
        "Apply a policy (`mlreg policy apply`), or give --train-window and --evaluate-window"
        " (and --label-delay, --rounds, --param ... where the defaults do not fit)."
    )

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(
            f"model {model!r} has no policy in {environment!r}, and the request does not say"
            " which rows to train and to judge on"
        )


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with the name of its model, and the verdict on what it made."""

    run: Run
    model: str
    verdict: str | None = None
    costs: Sequence[Sum] = ()


def request_run(  # noqa: PLR0913 - a run has these properties
    session: WriteSession,
    *,
    model: Model,
    environment: str,
    lane: Lane,
    cause: str,
    actor: Actor,
    now: datetime,
    firing_id: int | None = None,
    policy_id: int | None = None,
    specification: RunSpecification | None = None,
) -> Run:
    """Ask for a run: a row and a job in the caller's transaction.

    Args:
        session: the transaction whose commit makes the run exist.
        model: what to train.
        environment: whose champion the challenger is judged against.
        lane: how to train; without a champion to start from the run itself turns to `full`.
        cause: why, for people: the names of the triggers, or `manual`.
        actor: by whose hand.
        now: business time; the run's windows follow from it.
        firing_id: the firing that it came of.
        policy_id: the policy in force; it is what the run does, unless `specification` is given.
        specification: what the run does, when it is not exactly what the policy says.

    Raises:
        ModelArchivedError, EnvironmentNotFoundError: nothing may be trained there.
        NoSpecificationError: neither policy nor specification.
    """
    if model.archived_at is not None:
        raise catalog.ModelArchivedError(model=model.name)
    catalog.check_environment(session, environment)
    wanted = specification
    if wanted is None:
        if policy_id is None:
            raise NoSpecificationError(model=model.name, environment=environment)
        wanted = specification_of_policy(session, policy_id)
    run = Run(
        model_id=catalog.id_of(model),
        environment=environment,
        state="queued",
        lane=lane,
        trainer=wanted.retrain.trainer,
        cause=cause,
        firing_id=firing_id,
        policy_id=policy_id,
        specification=wanted.to_json(),
        requested_by=actor.name,
        created_at=now,
    )
    session.add(run)
    session.flush()
    _enqueue(session, run)
    return run


def specification_of_policy(session: ReadSession, policy_id: int) -> RunSpecification:
    """Return what a run of this very policy does."""
    in_force = policy_of(session, policy_id)
    policy = in_force.policy
    return RunSpecification(
        data=policy.data,
        retrain=policy.retrain,
        gates=tuple(policy.to_json()["gates"]),
        auto_promote=policy.auto_promote,
        memory=policy.memory,
        git=None if in_force.git is None else dict(in_force.git),
    )


def get_run(session: ReadSession, run_id: int) -> RunView:
    """Return a run.

    Raises:
        RunNotFoundError: there is none of that number.
    """
    found = rows.find_run(session, run_id)
    if found is None:
        raise RunNotFoundError(run_id=run_id)
    return RunView(*found, costs=costs_of_runs(session, [run_id]).get(run_id, ()))


def list_runs(  # noqa: PLR0913 - what one may choose by
    session: ReadSession,
    *,
    model: str | None = None,
    environment: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
    names: Collection[str] | None = None,
) -> Page[RunView]:
    """Return a page of runs, newest first, of models of `names` only where they are given.

    `before` is the cursor of the page before.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError: there is none of that name.
    """
    if environment is not None:
        catalog.check_environment(session, environment)
    limit = min(max(limit, 1), MAX_PAGE)
    model_id = None if model is None else catalog.id_of(catalog.get_model(session, model))
    found = rows.runs_before(
        session,
        model_id=model_id,
        environment=environment,
        state=state,
        before=before,
        limit=limit + 1,
        names=names,
    )
    costs = costs_of_runs(session, [one[0].id or 0 for one in found])
    views = [RunView(*one, costs=costs.get(one[0].id or 0, ())) for one in found]
    return page_of(views, limit, str(views[:limit][-1].run.id) if views else "")


def list_log(session: ReadSession, run_id: int, *, after: int = 0) -> Sequence[RunLog]:
    """Return up to a thousand lines of a run's log beyond the line `after`.

    Raises:
        RunNotFoundError: there is no run of that number.
    """
    get_run(session, run_id)
    return rows.log_after(session, run_id, after, MAX_LINES)


def cancel_run(
    session: WriteSession, run_id: int, reason: str, *, actor: Actor, now: datetime
) -> RunView:
    """End a queued or running run; its child is killed at the worker's next heartbeat.

    Raises:
        RunNotFoundError: there is none of that number.
        RunEndedError: it has ended already.
    """
    job_id = jobs.find_open(session, job_key(run_id))
    if job_id is not None:  # the job first: workers lock in this order too
        jobs.cancel(session, job_id, reason)
    run = _locked(session, run_id)
    if run.state not in OPEN_STATES:
        raise RunEndedError(run_id=run_id, state=run.state)
    if run.state == "running" and job_id is not None:
        record_attempt(session, run, job_id)
    run.state, run.error, run.ended_at = "cancelled", reason or "cancelled", now
    session.add(run)
    return recorded(session, run, "run.cancel", actor, now, reason=reason)


def retry_run(session: WriteSession, run_id: int, *, actor: Actor, now: datetime) -> RunView:
    """Queue a failed, cancelled or dead run again; it goes on after its last finished step.

    Raises:
        RunNotFoundError: there is none of that number.
        RunNotEndedError: it is queued or running, or it succeeded.
    """
    run = _locked(session, run_id)
    if run.state not in {"failed", "cancelled", "dead"}:
        raise RunNotEndedError(run_id=run_id, state=run.state)
    former = run.state
    run.state, run.error, run.ended_at = "queued", None, None
    session.add(run)
    session.flush()
    _enqueue(session, run)
    return recorded(session, run, "run.retry", actor, now, former=former)


def job_key(run_id: int) -> str:
    """Return the dedupe key of a run's job."""
    return f"run:{run_id}"


def is_by_hand(run: Run) -> bool:
    """Say whether a person asked for a run: it goes before others, and no budget holds it."""
    return BY_HAND in run.cause.split(", ")


def recorded(
    session: WriteSession, run: Run, action: str, actor: Actor, now: datetime, **more: object
) -> RunView:
    """Write down by whose hand a run was changed, and return it."""
    session.flush()
    view = get_run(session, run.id or 0)
    audit.record(
        session,
        action=action,
        subject=f"run:{run.id}",
        actor=actor,
        body={"model": view.model, "environment": run.environment, **more},
        now=now,
    )
    return view


def _locked(session: WriteSession, run_id: int) -> Run:
    run = rows.lock_run(session, run_id)
    if run is None:
        raise RunNotFoundError(run_id=run_id)
    return run


def _enqueue(session: WriteSession, run: Run) -> None:
    run_id = run.id or 0
    payload = {"run_id": run_id, "model_id": run.model_id, "environment": run.environment}
    jobs.enqueue(
        session,
        kind=KIND,
        payload=payload,
        dedupe_key=job_key(run_id),
        lock_key=f"{KIND}:{run.model_id}",
        label=run.specification["retrain"].get("worker"),
        priority=PRIORITY_BY_HAND if is_by_hand(run) else PRIORITY,
        max_attempts=MAX_ATTEMPTS,
    )
