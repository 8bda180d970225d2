"""Which controller leads: a row with a holder, a time to live and an epoch that counts up.

What always holds: at most one holder at a time by the database's own clock; a new holder has a
higher epoch; a controller that was paused beyond its time finds its epoch gone. The lease saves
load: correctness of a tick never rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from mlreg.registry.services.outbox import tell

if TYPE_CHECKING:
    from mlreg.registry.store.database import Database, WriteSession

TTL_SECONDS = 10.0

_TAKE = text("""
    UPDATE leader
    SET epoch = CASE WHEN holder = :holder AND until >= clock_timestamp() THEN epoch
                     ELSE epoch + 1 END,
        holder = :holder,
        until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = 1 AND (holder = :holder OR until < clock_timestamp())
    RETURNING epoch
""")
_GIVE_BACK = text("""
    UPDATE leader SET until = clock_timestamp() WHERE id = 1 AND holder = :holder
""")
_LED = text("""
    SELECT 1 FROM leader
    WHERE id = 1 AND holder = :holder AND epoch = :epoch AND until >= clock_timestamp()
    FOR SHARE
""")
_TICKED = text("""
    WITH before AS (SELECT ticked_at, alarmed_at FROM leader WHERE id = 1 FOR UPDATE)
    UPDATE leader SET ticked_at = clock_timestamp(), alarmed_at = NULL, alarm_until = NULL
    FROM before WHERE leader.id = 1
    RETURNING before.ticked_at AS since, before.alarmed_at, leader.ticked_at AS now
""")


@dataclass(frozen=True, slots=True)
class Leadership:
    """The right to tick, until it runs out."""

    holder: str
    epoch: int


def take_leadership(
    database: Database, holder: str, *, ttl_seconds: float = TTL_SECONDS
) -> Leadership | None:
    """Become or stay the leader; None while another one is."""
    with database.writing() as session:
        values = {"holder": holder, "seconds": ttl_seconds}
        epoch = session.execute(_TAKE, values).scalar_one_or_none()
    return None if epoch is None else Leadership(holder, epoch)


def leads(session: WriteSession, leadership: Leadership) -> bool:
    """Say whether this leadership still holds; true until the transaction ends."""
    values = {"holder": leadership.holder, "epoch": leadership.epoch}
    return session.execute(_LED, values).first() is not None


def give_back(database: Database, holder: str) -> None:
    """End the leadership at once, so that a standby need not wait for its time to run out."""
    with database.writing() as session:
        session.execute(_GIVE_BACK, {"holder": holder})


def note_tick(database: Database) -> None:
    """Write down that a tick was done, for whoever watches that the controller is not silent.

    Whoever was told that it is, is told that it is back.
    """
    with database.writing() as session:
        row = session.execute(_TICKED).one_or_none()
        if row is not None and row.alarmed_at is not None:
            body = {"model": None, "since": row.since.isoformat(), "actor": "controller"}
            tell(session, "controller.back", body, now=row.now)
