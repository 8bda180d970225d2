"""What is collected for a policy after a change, as the store remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.selections.since_change import SinceChange
from mlreg.controller.store import policies as rows

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.collecting import Collection
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession


def change_in_force(session: ReadSession, in_force: PolicyInForce) -> datetime | None:
    """Return the change point that a run by hand begins at, None where there is none."""
    collection = find_collection(session, in_force.model_id, in_force.environment)
    since_change = isinstance(in_force.policy.data.selection, SinceChange)
    return collection.since if since_change and collection is not None else None


def find_collection(session: ReadSession, model_id: int, environment: str) -> Collection | None:
    """Return what is collected for a policy now, None when nothing is."""
    state = rows.find_state(session, model_id, environment)
    return None if state is None else PolicyMemory.from_json(state.memory).collection
