"""What is remembered of a policy when another text of it is put in force.

What always holds: it is written in the transaction that applies the text, under the state's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.domain.triggers import names_of
from mlreg.controller.domain.windows import window_of
from mlreg.controller.services import following
from mlreg.controller.services.policy_texts import written_policy
from mlreg.controller.store import policies as rows
from mlreg.controller.store.tables import PolicyState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.store.tables import Policy as PolicyRow
    from mlreg.registry.store.database import WriteSession


def point_at(
    session: WriteSession,
    row: PolicyRow,
    policy: Policy,
    now: datetime,
    before: Mapping[str, Any] | None,
) -> None:
    """Let the state follow the new policy.

    Windows read so far stay read. Triggers begin anew, unless all is as it was `before` that they
    are judged by: a comment or another number of rounds arms nothing again, and misses no due time.
    What waits goes on waiting for the triggers that stay, and is looked at again at once: what it
    waits for may be another by this policy.
    """
    state = rows.await_state(session, row.model_id, row.environment)
    if state is None:
        start = window_of(now, policy.data.window).start
        matured = window_of(now - policy.data.label_delay, policy.data.window).start
        state = PolicyState(
            model_id=row.model_id,
            environment=row.environment,
            policy_id=row.id or 0,
            evaluated_until=start,
            memory=PolicyMemory(start, matured, now).to_json(),
        )
    state.policy_id = row.id or 0
    memory = PolicyMemory.from_json(state.memory)
    if before is None or _judged_by(before) != _judged_by(row.body):
        memory = memory.anew(now, _staying(before, policy))
    if memory.waiting is not None:
        memory = memory._replace(woken=now)  # its cooldown or its budget may be another
    state.memory, state.next_fire_at = memory.to_json(), now
    session.add(state)
    session.flush()
    following.follow(session, state, policy)


def _staying(before: Mapping[str, Any] | None, policy: Policy) -> dict[str, str]:
    """Return what triggers that stay as they are were called before, and are called now."""
    if before is None:
        return {}
    try:
        old = written_policy(before).triggers
    except TooNewError:  # a plugin of it is gone
        return {}
    left = dict(zip(names_of(policy.triggers), policy.triggers, strict=True))
    found: dict[str, str] = {}
    for name, trigger in zip(names_of(old), old, strict=True):
        same = next((one for one, other in left.items() if other == trigger), None)
        if same is not None:
            found[name] = same
            del left[same]
    return found


def _judged_by(body: Mapping[str, Any]) -> list[object]:
    """Return what a written policy says of when to retrain."""
    data = body["data"]
    return [
        *(body.get(key) for key in ("triggers", "combine", "quiet_hours")),
        *(data.get(key) for key in ("window", "label_delay")),
    ]
