"""Readings that are made after their window closed: the policy that watches them looks again.

What always holds: without it such a reading would be judged as the next window closes, a day late;
a policy whose triggers watch nothing of the kind is left alone. One that a tick has at this moment
has looked already, so its end is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.triggers import View
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.store import upstream as rows

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Trigger
    from mlreg.registry.store.database import WriteSession


def look_again_if_watched(
    session: WriteSession, place: tuple[int, str], family: str, *, now: datetime
) -> None:
    """Have a deployment's policy look, if a trigger of it watches monitors that begin so.

    To be called before readings are written: a tick, too, takes the policy first, then what it
    writes; in another order the two would wait for each other.
    """
    found = policy_in_force(session, *place)
    if found is not None and any(_watches(one, family, now) for one in found.policy.triggers):
        rows.look_again(session, place, now)


def watches_readings(policy: Policy, now: datetime) -> bool:
    """Say whether any trigger of a policy reads a monitor at all."""
    needs = (trigger.need(View(now, now)) for trigger in policy.triggers)
    return any(need.monitors or need.families for need in needs)


def _watches(trigger: Trigger, family: str, now: datetime) -> bool:
    need = trigger.need(View(now, now))
    return any(one.startswith(family) for one in (*need.monitors, *need.families))
