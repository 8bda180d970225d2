"""Queries of the outbox: leaving an event, giving it its place, reading on from a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, text

from mlreg.registry.domain.events import Event
from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from mlreg.registry.store.database import ReadSession, WriteSession

_outbox = METADATA.tables["outbox_message"]
_ADD = insert(_outbox).values(
    topic=bindparam("topic"),
    body=bindparam("body", type_=_outbox.c.body.type),
    created_at=bindparam("at"),
)
_HAS_UNORDERED = text("SELECT EXISTS (SELECT FROM outbox_message WHERE seq IS NULL)")
_HEAD = text("SELECT seq FROM outbox_head")
_OLDEST = text("SELECT min(seq) FROM outbox_message")
_LOCK_HEAD = text("SELECT seq FROM outbox_head FOR UPDATE")
# A separate statement, and so a newer snapshot than the one that waited for the lock: it sees all
# that was committed before this transaction held it.
_ORDER = text("""
    UPDATE outbox_message SET seq = placed.seq
    FROM (
        SELECT id, :head + row_number() OVER (ORDER BY id) AS seq FROM (
            SELECT id FROM outbox_message WHERE seq IS NULL ORDER BY id LIMIT :limit
        ) AS waiting
    ) AS placed
    WHERE outbox_message.id = placed.id
""")
_MOVE_HEAD = text("UPDATE outbox_head SET seq = :seq")
_AFTER = text("""
    SELECT m.seq, m.id, m.topic, m.body, m.created_at, i.incarnation
    FROM outbox_message m, installation i
    WHERE m.seq > :after ORDER BY m.seq LIMIT :limit
""")
_SETTLE = text("""
    UPDATE outbox_message SET sent_at = clock_timestamp()
    WHERE sent_at IS NULL AND seq <= (
        SELECT coalesce(min(w.position), (SELECT seq FROM outbox_head))
        FROM webhook w WHERE w.enabled
    )
""")
_PRUNE = text("""
    DELETE FROM outbox_message WHERE id IN (
        SELECT id FROM outbox_message WHERE sent_at < :before ORDER BY sent_at LIMIT :limit
    )
""")


def add(session: WriteSession, topic: str, body: Mapping[str, Any], at: datetime) -> None:
    """Leave an event in the caller's transaction."""
    session.execute(_ADD, {"topic": topic, "body": dict(body), "at": at})


def has_unordered(session: ReadSession) -> bool:
    """Say whether an event waits for its place."""
    return bool(session.execute(_HAS_UNORDERED).scalar_one())


def head(session: ReadSession) -> int:
    """Return the last place that was given."""
    return int(session.execute(_HEAD).scalar_one())


def find_oldest(session: ReadSession) -> int | None:
    """Return the first place whose event is still kept."""
    found: int | None = session.execute(_OLDEST).scalar_one()
    return found


def lock_head(session: WriteSession) -> int:
    """Return the last place that was given, and keep others from giving one until the commit."""
    return int(session.execute(_LOCK_HEAD).scalar_one())


def order(session: WriteSession, last: int, limit: int) -> int:
    """Give places after `last` to events without one; return how many were given."""
    given = int(session.execute(_ORDER, {"head": last, "limit": limit}).rowcount)  # type: ignore[attr-defined]  # of an UPDATE
    session.execute(_MOVE_HEAD, {"seq": last + given})
    return given


def list_after(session: ReadSession, after: int, limit: int) -> list[Event]:
    """Return the events after a place, in their order."""
    return [
        Event(
            seq=row.seq,
            key=f"{row.incarnation}-{row.id}",
            topic=row.topic,
            body=row.body,
            at=row.created_at,
            source=f"mlreg/{row.incarnation}",
        )
        for row in session.execute(_AFTER, {"after": after, "limit": limit})
    ]


def settle(session: WriteSession) -> None:
    """Write down which events every enabled webhook is done with."""
    session.execute(_SETTLE)


def prune(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete events that were settled before a moment; return how many."""
    return int(session.execute(_PRUNE, {"before": before, "limit": limit}).rowcount)  # type: ignore[attr-defined]  # of a DELETE
