"""Queries of the chores: when each was last started, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_NOW = text("SELECT clock_timestamp()")
_LAST = text("SELECT name, last_at FROM chore")
_START = text("""
    INSERT INTO chore (name, last_at) VALUES (:name, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at
""")
_TAKE_TURN = text("""
    INSERT INTO chore (name, last_at) VALUES (:name, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at
    WHERE chore.last_at < clock_timestamp() - make_interval(secs => :seconds)
    RETURNING name
""")
_PRUNE_JOBS = text("""
    DELETE FROM job WHERE id IN (
        SELECT id FROM job WHERE kind = 'chore' AND ended_at < clock_timestamp() - interval '1 day'
        LIMIT :limit
    )
""")
_NOTE = text("UPDATE chore SET outcome = :outcome WHERE name = :name")


def real_now(session: ReadSession) -> datetime:
    """Return the database's own time, which no virtual clock moves."""
    moment: datetime = session.execute(_NOW).scalar_one()
    return moment


def last_starts(session: ReadSession) -> Mapping[str, datetime]:
    """Return when each chore was last started."""
    return {name: at for name, at in session.execute(_LAST)}  # noqa: C416 - rows are not pairs


def note_start(session: WriteSession, name: str) -> None:
    """Write down that a chore was started now."""
    session.execute(_START, {"name": name})


def take_turn(session: WriteSession, name: str, seconds: float) -> bool:
    """Note a start unless there was one in the last seconds; say whether it was noted."""
    values = {"name": name, "seconds": seconds}
    return session.execute(_TAKE_TURN, values).first() is not None


def note_outcome(session: WriteSession, name: str, outcome: str) -> None:
    """Write down what came of a chore's newest run."""
    session.execute(_NOTE, {"name": name, "outcome": outcome})


def prune_jobs(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete the ended jobs of chores after a day: there are thousands a day; return how many."""
    del before
    return int(session.execute(_PRUNE_JOBS, {"limit": limit}).rowcount)  # type: ignore[attr-defined]  # of a DELETE
