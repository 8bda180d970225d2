"""Queries of policies, their state between ticks, and their firings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import (
    Batch,
    Firing,
    Job,
    LateHour,
    Policy,
    PolicyState,
    Run,
)
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession


def newest_policy(session: ReadSession, model_id: int, environment: str) -> Policy | None:
    """Return the policy of the highest number, enabled or not."""
    query = (
        select(Policy)
        .where(Policy.model_id == model_id, Policy.environment == environment)
        .order_by(col(Policy.number).desc())
        .limit(1)
    )
    return session.exec(query).first()


def find_policy(
    session: ReadSession, model_id: int, environment: str, number: int
) -> Policy | None:
    """Return one version of a deployment's policy."""
    query = select(Policy).where(
        Policy.model_id == model_id, Policy.environment == environment, Policy.number == number
    )
    return session.exec(query).first()


def list_policies(
    session: ReadSession, model_id: int, environment: str, *, before: int | None, limit: int
) -> Sequence[Policy]:
    """Return a page of the versions of a deployment's policy, newest first."""
    query = select(Policy).where(Policy.model_id == model_id, Policy.environment == environment)
    if before is not None:
        query = query.where(col(Policy.number) < before)
    return session.exec(query.order_by(col(Policy.number).desc()).limit(limit)).all()


def find_state(session: ReadSession, model_id: int, environment: str) -> PolicyState | None:
    """Return what is remembered of the policy of a deployment."""
    query = select(PolicyState).where(
        PolicyState.model_id == model_id, PolicyState.environment == environment
    )
    return session.exec(query).first()


def await_state(session: WriteSession, model_id: int, environment: str) -> PolicyState | None:
    """Return the state of a deployment's policy as of now, its row locked: waits for who has it."""
    query = (
        select(PolicyState)
        .where(PolicyState.model_id == model_id, PolicyState.environment == environment)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.exec(query).first()


def lock_state(session: WriteSession, state_id: int) -> PolicyState | None:
    """Return a policy's state as of now, its row locked until the commit.

    None also while another controller has it: a leader that stopped in the middle of it keeps its
    lock for a while, and must not hold up the other policies.
    """
    query = (
        select(PolicyState)
        .where(PolicyState.id == state_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return session.exec(query).first()


def due_states(session: ReadSession, now: datetime) -> Sequence[int]:
    """Return the ids of the enabled policies that have something due, in a fixed order."""
    late = select(LateHour.start).where(
        LateHour.model_id == PolicyState.model_id,
        LateHour.environment == PolicyState.environment,
        col(LateHour.start) < col(PolicyState.evaluated_until),
    )
    query = (
        select(PolicyState.id)
        .where(col(PolicyState.enabled), (col(PolicyState.next_fire_at) <= now) | late.exists())
        .order_by(col(PolicyState.id))
    )
    return [one for one in session.exec(query).all() if one is not None]


def due_before(
    session: ReadSession, ids: Sequence[int], moment: datetime
) -> Sequence[tuple[int, tuple[int, str]]]:
    """Return those of some enabled policies that are due since before a moment, each with where."""
    query = select(PolicyState).where(
        col(PolicyState.enabled),
        col(PolicyState.id).in_(ids),
        col(PolicyState.next_fire_at) <= moment,
    )
    return [(one.id or 0, (one.model_id, one.environment)) for one in session.exec(query).all()]


def next_due(session: ReadSession, after: datetime) -> datetime | None:
    """Return the first moment after this one at which an enabled policy has something due."""
    query = select(func.min(PolicyState.next_fire_at)).where(
        col(PolicyState.enabled), col(PolicyState.next_fire_at) > after
    )
    return session.exec(query).one()


def models_with_waiting_batches(session: ReadSession) -> Sequence[int]:
    """Return the ids of the models whose log waits for a drain."""
    query = select(Batch.model_id).where(col(Batch.segment).is_(None)).distinct()
    return session.exec(query).all()


def waiting_since(session: ReadSession, model_id: int) -> datetime | None:
    """Return when the oldest batch was received that is not drained yet (business time)."""
    query = select(func.min(Batch.received_at)).where(
        Batch.model_id == model_id, col(Batch.segment).is_(None)
    )
    return session.exec(query).one()


def insert_firing(session: WriteSession, values: Mapping[str, Any]) -> int | None:
    """Insert a firing; None when this policy has one of this moment already."""
    statement = (
        insert(Firing)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["policy_id", "fire_at"])
        .returning(col(Firing.id))
    )
    return session.execute(statement).scalar_one_or_none()


def list_firings(
    session: ReadSession, model_id: int, environment: str, limit: int, before: int | None = None
) -> Sequence[Firing]:
    """Return a page of a deployment's firings, newest first."""
    query = select(Firing).where(Firing.model_id == model_id, Firing.environment == environment)
    if before is not None:
        query = query.where(col(Firing.id) < before)
    return session.exec(query.order_by(col(Firing.id).desc()).limit(limit)).all()


def runs_of_firings(session: ReadSession, firings: Sequence[int]) -> dict[int, int]:
    """Return the run of each of these firings that has one."""
    query = select(Run.firing_id, Run.id).where(col(Run.firing_id).in_(firings))
    return {firing: run for firing, run in session.exec(query).all() if firing and run}


def runs_since(
    session: ReadSession, model_id: int, environment: str, since: datetime
) -> Sequence[Run]:
    """Return the runs that were asked for after a moment, and all that have not ended."""
    query = select(Run).where(
        Run.model_id == model_id,
        Run.environment == environment,
        (col(Run.created_at) > since) | col(Run.state).in_(["queued", "running"]),
    )
    return session.exec(query).all()


def last_run_at(
    session: ReadSession, model_id: int, environment: str, until: datetime | None = None
) -> datetime | None:
    """Return when the last run was asked for (by a moment) that was not cancelled."""
    query = select(func.max(Run.created_at)).where(
        Run.model_id == model_id, Run.environment == environment, col(Run.state) != "cancelled"
    )
    if until is not None:
        query = query.where(col(Run.created_at) <= until)
    return session.exec(query).one()


def newest_train_seconds(
    session: ReadSession, model_id: int, environment: str, limit: int
) -> Sequence[float]:
    """Return how long the newest runs trained that succeeded."""
    query = (
        select(Run.train_seconds)
        .where(Run.model_id == model_id, Run.environment == environment)
        .where(Run.state == "succeeded", col(Run.train_seconds).is_not(None))
        .order_by(col(Run.id).desc())
        .limit(limit)
    )
    return [seconds for seconds in session.exec(query).all() if seconds is not None]


def last_lane_runs(session: ReadSession, model_id: int, environment: str) -> dict[str, datetime]:
    """Return, by lane, when the last run that succeeded (or still may) was asked for."""
    query = (
        select(Run.lane, func.max(Run.created_at))
        .where(
            Run.model_id == model_id,
            Run.environment == environment,
            col(Run.state).in_(["queued", "running", "succeeded"]),
        )
        .group_by(col(Run.lane))
    )
    return dict(session.exec(query).all())


_DEAD_JOB = text(
    "SELECT 1 FROM job WHERE dedupe_key = :key AND state IN ('dead', 'failed') LIMIT 1"
)


def has_given_up(session: ReadSession, dedupe_key: str) -> bool:
    """Say whether a job of this key has ended as dead or failed."""
    return session.execute(_DEAD_JOB, {"key": dedupe_key}).first() is not None


def has_ended(session: ReadSession, dedupe_key: str) -> bool:
    """Say whether a job of this key has ended, well or not."""
    statement = select(Job.id).where(
        Job.dedupe_key == dedupe_key, col(Job.state).not_in(["queued", "running"])
    )
    return session.exec(statement.limit(1)).first() is not None


def models_of(session: ReadSession, ids: Sequence[int]) -> dict[int, Model]:
    """Return models that are known to be there."""
    return {one.id or 0: one for one in session.exec(select(Model).where(col(Model.id).in_(ids)))}


def model_of(session: ReadSession, model_id: int) -> Model:
    """Return a model that is known to be there."""
    return session.exec(select(Model).where(Model.id == model_id)).one()
