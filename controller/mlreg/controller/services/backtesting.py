"""Backtests: a job of kind `backtest` that replays a model's own history under other policies.

What always holds: it changes nothing but its own outcome; what is asked for is checked when it is
asked, each policy of the grid as if it were applied; rows in outages are left out, as they are of
every training; a backtest ends after the seconds it was given, with what it has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.client.states import became
from mlreg.controller.domain.backtest import TooLittleHistoryError
from mlreg.controller.domain.backtest_check import NotReplayableError, check_replayable
from mlreg.controller.domain.backtest_grid import (
    MAIN_METRIC,
    Candidate,
    Grid,
    InvalidGridError,
    candidates,
    default_grid,
    read_grid,
)
from mlreg.controller.domain.metrics import WATCHED_OF_TASK
from mlreg.controller.domain.specification import DEFAULT_GATES
from mlreg.controller.domain.trainer_kinds import lanes_of
from mlreg.controller.services import jobs
from mlreg.controller.services.backtest_rows import was_logged
from mlreg.controller.services.backtest_world import monitors_of
from mlreg.controller.services.policies import PolicyNotFoundError, checked_policy, get_policy
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.store import answers
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    from mlreg.controller.store.tables import Job
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "backtest"
PRIORITY = 95


class BacktestNotFoundError(NotFoundError):
    """There is no backtest of that number."""

    code = "backtest_not_found"
    hint = "`mlreg policy backtests MODEL` lists those that there are."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no backtest {number}")


class BacktestEndedError(RefusedError):
    """The backtest has ended already."""

    code = "backtest_ended"

    def __init__(self, *, number: int, state: str) -> None:
        super().__init__(f"backtest {number} {became(state)} already")


class TaskNotReplayedError(InvalidError):
    """Models of this task have no loss by row, or no such metric."""

    code = "task_not_replayed"

    def __init__(self, *, cause: str) -> None:
        super().__init__(cause)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed.

    Attributes:
        grid: YAML; None is the usual grid.
        start, end: None is all that was logged.
        seconds: after so many no further policy is begun.
    """

    environment: str = "production"
    grid: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    seed: int = 0
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Backtest:
    """A backtest that was asked for, and what became of it.

    Attributes:
        progress: how far it is, in a line.
        share: of the policies, how many were replayed, from 0 to 1.
        found: what `backtest_replay.replay_all` answered, once it has succeeded.
    """

    number: int
    model_id: int
    environment: str
    state: str
    error: str | None
    asked_at: datetime
    progress: str
    share: float
    found: Mapping[str, Any] | None


def request_backtest(
    session: WriteSession, model: Model, asked: Asked, *, actor: Actor, now: datetime
) -> int:
    """Ask for a backtest; return its number.

    Raises:
        InvalidGridError: the grid, or a policy that it makes, cannot be; names which and why.
        TaskNotReplayedError: the model's task, or the metric for it, is none that is replayed.
        TooLittleHistoryError: nothing was logged, or the times are out of order.
        EnvironmentNotFoundError: it is not there.
    """
    catalog.check_environment(session, asked.environment)
    base = _base(session, model, asked.environment)
    grid = _grid(model, base, asked.grid)
    metric = _metric(model, grid)
    tried = candidates(base, grid, lambda text: checked_policy(session, text, model, actor, now))
    _check_replayable(model.task, tried, now)
    payload = {
        "model_id": catalog.id_of(model),
        "environment": asked.environment,
        "base": base,
        "grid": grid.model_dump(mode="json"),
        "metric": metric,
        **_times(session, model, base, asked, now),
        "known_by": now.isoformat(),
        "seed": asked.seed,
        "seconds": asked.seconds,
    }
    number = jobs.enqueue(
        session,
        kind=KIND,
        payload=payload,
        priority=PRIORITY,
        lock_key=f"{KIND}:{model.id}",
    )
    audit.record(
        session,
        action="backtest.request",
        subject=f"model:{model.name}",
        actor=actor,
        body={"backtest": number, "environment": asked.environment},
        now=now,
    )
    return number or 0


def get_backtest(session: ReadSession, number: int) -> Backtest:
    """Return a backtest.

    Raises:
        BacktestNotFoundError: there is none of that number.
    """
    job = answers.find_answer(session, KIND, number)
    if job is None:
        raise BacktestNotFoundError(number=number)
    return _backtest(job)


def list_backtests(
    session: ReadSession, model: Model, *, before: int | None = None, limit: int = 20
) -> list[Backtest]:
    """Return backtests of a model, the newest first, below a number where one is given."""
    found = answers.list_answers(session, KIND, catalog.id_of(model), before, limit)
    return [_backtest(job) for job in found]


def cancel_backtest(
    session: WriteSession, number: int, reason: str, *, actor: Actor, now: datetime
) -> Backtest:
    """End a backtest that waits or runs.

    Raises:
        BacktestNotFoundError: there is none of that number.
        BacktestEndedError: it has ended already.
    """
    found = get_backtest(session, number)
    if jobs.cancel(session, number, reason or f"cancelled by {actor.name}") is None:
        raise BacktestEndedError(number=number, state=found.state)
    model = model_of(session, found.model_id)
    audit.record(
        session,
        action="backtest.cancel",
        subject=f"model:{model.name}",
        actor=actor,
        body={"backtest": number, "reason": reason},
        now=now,
    )
    session.expire_all()
    return get_backtest(session, number)


def _base(session: ReadSession, model: Model, environment: str) -> dict[str, Any]:
    """Return the JSON of the policy in force, or of the usual one of the task."""
    try:
        return get_policy(session, model.name, environment).policy.to_json()
    except PolicyNotFoundError:
        gates = [dict(gate) for gate in DEFAULT_GATES.get(model.task, ())]
        weekly = [{"schedule": "0 0 * * 1"}]
        named = {"model": model.name, "environment": environment}
        return {**named, "triggers": weekly, "gates": gates}


def _grid(model: Model, base: Mapping[str, Any], text: str | None) -> Grid:
    if text is not None:
        return read_grid(text)
    rule = parse_policy(json.dumps({**base, "gates": []})).retrain
    return default_grid(model.task, lanes_of(rule.trainer, rule.estimator, ()))


def _metric(model: Model, grid: Grid) -> str:
    usual = MAIN_METRIC.get(model.task)
    if usual is None:
        raise TaskNotReplayedError(cause=f"a {model.task} model has no loss by row to replay")
    known = [one for one in WATCHED_OF_TASK[model.task] if one != "bias"]  # it is best at 0
    if grid.metric is not None and grid.metric not in known:
        problem = f"metric: a {model.task} model has no {grid.metric}; it has {', '.join(known)}"
        raise InvalidGridError(problems=[problem])
    return grid.metric or usual


def _check_replayable(task: str, tried: Sequence[Candidate], now: datetime) -> None:
    """Check that every trigger of every policy can be shown what it wants; names the policy.

    Raises:
        InvalidGridError: one cannot.
    """
    problems = []
    known = [one for monitors in monitors_of(task) for one in monitors]
    for candidate in tried:
        try:
            if candidate.policy is not None:
                check_replayable(candidate.policy, known, now)
        except NotReplayableError as error:
            problems.append(f"{candidate.name}: {error}")
    if problems:
        raise InvalidGridError(problems=problems)


def _times(
    session: ReadSession, model: Model, base: Mapping[str, Any], asked: Asked, now: datetime
) -> dict[str, str | None]:
    """Return from when to when rows are read; no beginning means all that will be in the log."""
    start, end = asked.start, asked.end or now
    logged = dict(base.get("data") or {}).get("source", "feedback") == "feedback"
    if start is None and not logged:
        raise TooLittleHistoryError(cause="a source does not say where it begins: name --from")
    if start is None and not was_logged(session, catalog.id_of(model)):
        raise TooLittleHistoryError(cause=f"nothing was logged for model {model.name!r}")
    if start is not None and start >= end:
        cause = f"{start.isoformat()} is not before {end.isoformat()}"
        raise TooLittleHistoryError(cause=cause)
    return {"start": None if start is None else start.isoformat(), "end": end.isoformat()}


def _backtest(job: Job) -> Backtest:
    outcome = job.outcome or {}
    return Backtest(
        number=job.id or 0,
        model_id=job.payload["model_id"],
        environment=job.payload["environment"],
        state=job.state,
        error=job.error,
        asked_at=job.enqueued_at,
        progress=str(outcome.get("progress", "")),
        share=1.0 if job.state == "succeeded" else float(outcome.get("share", 0.0)),
        found=outcome.get("found") if job.state == "succeeded" else None,
    )
