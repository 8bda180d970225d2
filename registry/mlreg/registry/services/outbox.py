"""The outbox: events of committed changes, in one order, for webhooks and for whoever reads on.

What always holds: an event is written in the transaction of its change, so neither is without the
other; it is given its place (`seq`) after the commit, one transaction at a time, and places have no
gaps, so a reader who remembers the last place he saw misses nothing, whatever committed late. Of
two changes that waited for each other (two promotes of one deployment), the first comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.store import outbox as rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from mlreg.registry.domain.events import Event
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

ORDERED_AT_ONCE = 1_000
READ_AT_ONCE = 500


def tell(session: WriteSession, topic: str, body: Mapping[str, Any], *, now: datetime) -> None:
    """Leave an event, in the transaction of what it tells of.

    Args:
        session: the change's own.
        topic: one of `domain/events.py`.
        body: JSON; `model` is the name of the model that it is about, or null.
        now: business time.
    """
    rows.add(session, topic, body, now)


def order_events(database: Database) -> int:
    """Give every committed event its place, if any waits for one; return how many were given."""
    with database.reading() as session:
        if not rows.has_unordered(session):
            return 0
    ordered = 0
    while True:
        with database.writing() as session:
            given = rows.order(session, rows.lock_head(session), ORDERED_AT_ONCE)
        ordered += given
        if given < ORDERED_AT_ONCE:
            return ordered


def list_events(session: ReadSession, after: int, limit: int = READ_AT_ONCE) -> list[Event]:
    """Return the events after a place, in their order."""
    return rows.list_after(session, after, limit)
