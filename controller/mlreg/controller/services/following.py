"""What wakes a policy before its next window: news of other models, the end of what it waits for.

What always holds: what was there when a policy was applied is not new to it; what came since is
shown to its trigger once, by serial numbers that are given under the other model's own locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.upstream import Upstream, parse_upstream
from mlreg.controller.store import upstream as rows
from mlreg.controller.store import waiting
from mlreg.controller.triggers.upstream import FOLLOWED, UpstreamTrigger
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Event
    from mlreg.controller.store.tables import PolicyState
    from mlreg.registry.store.database import Database, ReadSession, WriteSession


def followed_by(policy: Policy) -> tuple[Upstream, ...]:
    """Return what a policy follows, each once."""
    found = (one.followed for one in policy.triggers if isinstance(one, UpstreamTrigger))
    return tuple(dict.fromkeys(found))


def follow(session: WriteSession, state: PolicyState, policy: Policy) -> None:
    """Let the policy of a state follow what it names, from now on; the state's row is locked.

    Raises:
        ModelNotFoundError: a model that it names is not there.
    """
    followed = [
        (one, catalog.id_of(catalog.get_model(session, one.model))) for one in followed_by(policy)
    ]
    rows.follow(session, state.id or 0, followed)
    memory = PolicyMemory.from_json(state.memory)
    there = {f"{FOLLOWED}{one}": rows.newest_serial(session, id_, one) for one, id_ in followed}
    goes_on = {source: serial for source, serial in memory.seen.items() if source in there}
    state.memory = {**state.memory, "seen": {**there, **goes_on}}
    session.add(state)


def events_of(session: ReadSession, source: str, seen: int, after: datetime) -> Sequence[Event]:
    """Return the events of a source (`upstream:weather@champion:production`), oldest first.

    Nothing new comes of a model that was deleted: that ends no other trigger of the policy.
    """
    followed = parse_upstream(source.removeprefix(FOLLOWED))
    try:
        model = catalog.get_model(session, followed.model)
    except catalog.ModelNotFoundError:
        return ()
    return rows.list_events(session, catalog.id_of(model), followed, seen, after)


def wake(database: Database, now: datetime) -> None:
    """Have every policy look that follows something new, or waited for what is over."""
    with database.reading() as session:
        if not (rows.has_news(session) or waiting.is_over(session)):
            return
    with database.writing() as session:
        rows.wake(session, now)
        waiting.wake(session, now)
