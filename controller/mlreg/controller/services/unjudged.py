"""Policies that cannot be judged: a trigger that fails, a plugin that is gone, a bug of ours.

What always holds: nothing is retrained of such a policy, and its monitors stand still; the others
go on. Once it has been due, and has failed, for five minutes it is told, in an incident of its
deployment, of which at most one is open; it is closed once the policy was judged, or nobody wants
it judged.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.client.redaction import redact_text
from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.services.incidents import Alarm, close_incident, open_incident
from mlreg.controller.store import members as incidents
from mlreg.controller.store import policies as rows
from mlreg.registry.domain.actor import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from mlreg.controller.services.leadership import Fence
    from mlreg.controller.store.tables import PolicyState
    from mlreg.registry.store.database import Database, WriteSession

KIND = "unjudged_policy"
AFTER = timedelta(minutes=5)
MAX_CHARACTERS = 500


class Failing:
    """Since when policies fail, as one controller has seen it: a due time may be long ago."""

    def __init__(self) -> None:
        self._since: dict[int, datetime] = {}

    def look(self, failed: Collection[int], now: datetime) -> list[int]:
        """Take note of what fails in this tick; return what has failed in each for five minutes."""
        self._since = {one: self._since.get(one, now) for one in failed}
        return [one for one, since in self._since.items() if since <= now - AFTER]

    def forget(self) -> None:
        """Count anew: another controller leads, and what it sees is not known here."""
        self._since.clear()


def tell(
    database: Database,
    failed: Mapping[int, Exception],
    now: datetime,
    fence: Fence | None = None,
    failing: Failing | None = None,
) -> None:
    """Open incidents of policies that fail, and close those of policies that were judged.

    Args:
        database: where both are.
        failed: why, by the id of the policy's state, of those that failed in this tick.
        now: business time.
        fence: of the leadership under which the tick is.
        failing: what the controller saw of it in earlier ticks; without it, due times alone say how
            long a policy is not judged.

    Raises:
        LeadershipLostError: what the fence guards is another controller's by now.
    """
    lasting = list(failed) if failing is None else failing.look(failed, now)
    with database.reading() as session:
        told = incidents.open_incidents(session, KIND)
        places = {(one["model_id"], one["environment"]) for one in told}
        late = rows.due_before(session, lasting, now - AFTER) if lasting else ()
        untold = [state_id for state_id, place in late if place not in places]
    if not untold and not told:
        return
    with database.writing() as session:
        if fence is not None:
            fence.check(session)
        for state_id in untold:
            state = rows.lock_state(session, state_id)
            if state is not None:
                _open(session, state, failed[state_id], now)
        for one in told:
            state = rows.find_state(session, one["model_id"], one["environment"])
            if state is None or _is_over(state, failed, now):
                line = "the policy is judged again, or is disabled"
                close_incident(session, one["id"], line, actor=SYSTEM, now=now)


def _open(session: WriteSession, state: PolicyState, error: Exception, now: datetime) -> None:
    place = (state.model_id, state.environment)
    if incidents.find_open_incident(session, KIND, place) is not None:
        return
    said = plain_text(f"{type(error).__name__}: {error}")[:MAX_CHARACTERS]
    alarm = Alarm(
        model_id=state.model_id,
        environment=state.environment,
        kind=KIND,
        title="the policy cannot be judged: nothing is retrained, and its monitors stand still",
        line=redact_text(said),
    )
    open_incident(session, alarm, actor=SYSTEM, now=now)


def _is_over(state: PolicyState, failed: Mapping[int, Exception], now: datetime) -> bool:
    if not state.enabled:
        return True
    return state.id not in failed and state.next_fire_at is not None and state.next_fire_at > now
