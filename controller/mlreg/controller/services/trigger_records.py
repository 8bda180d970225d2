"""What was found at each look at a policy's triggers: told to whoever asks why, and let go in time.

What always holds: what was found is written in the transaction that acted on it; records go by the
time of their moment, in business time, the firings that they led to stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.triggers import names_of
from mlreg.controller.domain.waiting import Waiting
from mlreg.controller.services.chore import Chore
from mlreg.controller.services.policies import PolicyInForce, get_policy, policy_of
from mlreg.controller.store import policies as policy_rows
from mlreg.controller.store import trigger_records as rows
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import catalog
from mlreg.registry.store.clock import business_now

if TYPE_CHECKING:
    from mlreg.controller.services.chore import ChoreRoom
    from mlreg.controller.store.tables import TriggerRecord
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

TURN_ROWS = 50_000


class NothingJudgedError(NotFoundError):
    """The triggers of a policy were not judged yet, or not by then, or the record of it is gone."""

    code = "nothing_judged"
    hint = (
        "They are judged as a window closes, as its labels are mature, and at due times;"
        " `mlreg policy show MODEL` says when next."
    )

    def __init__(self, *, model: str, environment: str, at: datetime | None) -> None:
        when = "yet" if at is None else f"by {at.isoformat()}, or the record of it is gone"
        message = f"the triggers of {model!r} in {environment!r} were not judged {when}"
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Found:
    """What one trigger was found to be; `missing` is what would have to come for it to hold."""

    trigger: str
    holds: bool
    because: str
    missing: str
    readings: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the triggers of a policy.

    Attributes:
        in_force: the policy as it was then.
        outcome, run_id: what came of a firing; None where it was none.
        held: since when triggers hold that wait for others; as of now.
        waiting: the firing that waits for what holds it back to end; as of now.
        next_due: when it is looked at next; as of now.
    """

    in_force: PolicyInForce
    moment: datetime
    found: Sequence[Found]
    outcome: str | None
    run_id: int | None
    held: dict[str, datetime]
    waiting: Waiting | None
    next_due: datetime | None


def find_look(session: ReadSession, model: str, environment: str, at: datetime | None) -> Look:
    """Return the newest look at a policy's triggers, or the newest by a moment.

    Raises:
        ModelNotFoundError, PolicyNotFoundError, NothingJudgedError: there is none.
    """
    newest = get_policy(session, model, environment)
    place = (newest.model_id, environment)
    moment = rows.find_moment(session, place, at)
    if moment is None:
        raise NothingJudgedError(model=model, environment=environment, at=at)
    record = rows.get_record(session, place, moment)
    then = policy_of(session, record.policy_id)
    firing = rows.find_firing(session, then.policy_id, moment)
    run = policy_rows.runs_of_firings(session, [firing.id]) if firing and firing.id else {}
    state = policy_rows.find_state(session, newest.model_id, environment)
    memory = None if state is None else PolicyMemory.from_json(state.memory)
    waiting = None if memory is None else memory.waiting
    return Look(
        in_force=then,
        moment=moment,
        found=_in_order(then, record),
        outcome=None if firing is None else firing.outcome,
        run_id=next(iter(run.values()), None),
        held={} if memory is None else dict(memory.held),
        waiting=waiting if waiting and waiting.first else None,
        next_due=None if state is None else state.next_fire_at,
    )


def find_waiting(session: ReadSession, model: Model, environment: str) -> Waiting | None:
    """Return the firing of a deployment that waits for what holds it back to end, as of now."""
    state = policy_rows.find_state(session, catalog.id_of(model), environment)
    waiting = None if state is None else PolicyMemory.from_json(state.memory).waiting
    return waiting if waiting is not None and waiting.first else None


def _in_order(then: PolicyInForce, record: TriggerRecord) -> list[Found]:
    """Return what was found in the order of the policy file; old records have another."""
    by_name = {one["trigger"]: Found(**one) for one in record.found}
    return [by_name[name] for name in names_of(then.policy.triggers) if name in by_name]


def let_go(room: ChoreRoom) -> str:
    """Delete the records that are older than they are kept; say how many."""
    gone = 0
    kept = timedelta(days=room.settings.trigger_record_days)
    while not room.halt.is_set():
        with room.database.writing() as session:
            before = business_now(session) - kept
            turn = rows.prune_records(session, before, TURN_ROWS)
        gone += turn
        if turn < TURN_ROWS:
            break
    return f"{gone:,} records of looks at triggers went"


PRUNE = Chore("trigger-records", timedelta(hours=6), let_go)
