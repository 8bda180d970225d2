"""Judging the triggers of a policy at a moment, and what comes of it.

What always holds: a firing, its run and its job are written in one transaction; there is at most
one firing of a policy at a moment, whoever else ticks; a firing that a rule holds back is recorded
with that rule's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.evaluating import judge_moment
from mlreg.controller.domain.firing import (
    TRAIN_WEEK,
    Budgeted,
    Circumstances,
    Outcome,
    PastRun,
)
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.pending import collect, conclude
from mlreg.controller.domain.triggers import BY_HAND, Held
from mlreg.controller.services import runs
from mlreg.controller.services.choosing_lane import next_choice
from mlreg.controller.services.policies import PolicyInForce
from mlreg.controller.services.stored_views import StoredViews
from mlreg.controller.store import costs
from mlreg.controller.store import policies as rows
from mlreg.controller.store.serving import Serving
from mlreg.controller.store.trigger_records import write_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.triggers import Finding
    from mlreg.registry.store.database import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Fired:
    """A firing that was written down, and its run if one came of it."""

    firing_id: int
    triggers: tuple[str, ...]
    outcome: Outcome
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Automation:
    """A policy in force with what serves and what is remembered."""

    in_force: PolicyInForce
    serving: Serving | None
    memory: PolicyMemory


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a firing, when, and the change point that its run begins at."""

    outcome: Outcome
    at: datetime
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """What a run comes of."""

    firing_id: int
    names: tuple[str, ...]
    changed_at: datetime | None = None


def judge_triggers(
    session: WriteSession, automation: Automation, fire_at: datetime, now: datetime
) -> tuple[PolicyMemory, Fired | None]:
    """Judge every trigger at a moment; return the new memory and the firing, if there is one."""
    policy = automation.in_force.policy
    source = StoredViews(session, automation.in_force, automation.serving)
    memory, findings, fires = judge_moment(policy, source, automation.memory, fire_at)
    write_record(session, automation.in_force.policy_id, fire_at, findings)
    pending = collect(policy, source, memory, tuple(fires), fire_at)
    memory, fires = pending.memory, pending.fires
    if not fires:
        _note_missed(session, automation, findings, fire_at, now)
        return memory, None
    circumstances = _circumstances(session, automation, fires, fire_at)
    concluded = conclude(policy, pending, circumstances, fire_at)
    if not concluded.is_news:
        return concluded.memory, None
    came = Came(concluded.outcome, fire_at, pending.changed_at)
    return concluded.memory, _fire(session, automation, fires, came, now)


def _note_missed(
    session: WriteSession,
    automation: Automation,
    findings: Mapping[str, Finding],
    fire_at: datetime,
    now: datetime,
) -> None:
    """Write down that due times passed while nobody looked, and are not caught up."""
    missed = [Held(name, fire_at, one) for name, one in findings.items() if one.missed]
    if missed and not any(one.finding and one.finding.holds for one in missed):
        _record(session, automation, missed, Came("missed", fire_at), now)


def _fire(
    session: WriteSession,
    automation: Automation,
    fires: Sequence[Held],
    came: Came,
    now: datetime,
) -> Fired | None:
    """Write a firing down, and have its run queued if one comes of it."""
    firing_id = _record(session, automation, fires, came, now)
    if firing_id is None:
        return None
    names = tuple(one.name for one in fires)
    if came.outcome != "run":
        return Fired(firing_id, names, came.outcome)
    cause = Cause(firing_id, names, came.changed_at)
    return Fired(firing_id, names, came.outcome, _request(session, automation, cause, now))


def _record(
    session: WriteSession,
    automation: Automation,
    fires: Sequence[Held],
    came: Came,
    now: datetime,
) -> int | None:
    in_force = automation.in_force
    return rows.insert_firing(
        session,
        {
            "policy_id": in_force.policy_id,
            "model_id": in_force.model_id,
            "environment": in_force.environment,
            "fire_at": came.at,
            "triggers": [one.name for one in fires],
            "readings": [_evidence(one) for one in fires],
            "outcome": came.outcome,
            "created_at": now,
        },
    )


def _evidence(one: Held) -> dict[str, Any]:
    return {
        "trigger": one.name,
        "since": one.since.isoformat(),
        "because": one.finding.because if one.finding else "came to hold before",
        "readings": list(one.finding.evidence) if one.finding else [],
    }


def _circumstances(
    session: ReadSession, automation: Automation, fires: Sequence[Held], fire_at: datetime
) -> Circumstances:
    in_force, serving = automation.in_force, automation.serving
    suspicion = automation.memory.suspicion
    since = fire_at - max(TRAIN_WEEK, in_force.policy.cooldown)
    past = rows.runs_since(session, in_force.model_id, in_force.environment, since)
    quiet_hours = in_force.policy.quiet_hours
    model = rows.model_of(session, in_force.model_id)
    return Circumstances(
        quiet=quiet_hours is not None and quiet_hours.end_of(fire_at) is not None,
        by_hand=any(one.name == BY_HAND for one in fires),
        archived=model.archived_at is not None or model.deleted_at is not None,
        frozen=serving is not None and serving.frozen,
        outage=suspicion is not None and suspicion.told,
        busy=any(run.state in {"queued", "running"} for run in past),
        cooldown_until=None if serving is None else serving.cooldown_until,
        runs=tuple(
            PastRun(run.created_at, run.train_seconds or 0.0, began=run.started_at is not None)
            for run in past
        ),
        spent=_spent(session, in_force),
    )


def _spent(session: ReadSession, in_force: PolicyInForce) -> Budgeted | None:
    """Return the seconds of training by real time, where the policy bounds them."""
    if in_force.policy.budget.only_seconds().is_empty:
        return None
    real, place = costs.real_now(session), (in_force.model_id, in_force.environment)
    return Budgeted(real, costs.seconds_trained(session, real - TRAIN_WEEK, place))


def _request(
    session: WriteSession,
    automation: Automation,
    cause: Cause,
    now: datetime,
) -> int:
    in_force = automation.in_force
    choice = next_choice(session, in_force, automation.serving, now)
    specification = runs.specification_of_policy(session, in_force.policy_id)
    run = runs.request_run(
        session,
        model=rows.model_of(session, in_force.model_id),
        environment=in_force.environment,
        lane=choice.lane,
        cause=", ".join(cause.names),
        actor=in_force.actor,
        firing_id=cause.firing_id,
        policy_id=in_force.policy_id,
        specification=specification.model_copy(
            update={"lane_because": choice.because, "changed_at": cause.changed_at}
        ),
        now=now,
    )
    return run.id or 0
