"""Queries about a controller that is silent: since when, and who tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession, WriteSession

_LOOK = text("""
    SELECT leader.ticked_at, clock_timestamp() AS now, leader.alarmed_at, installation.incarnation
    FROM leader, installation WHERE leader.id = 1
""")
_TAKE = text("""
    UPDATE leader SET alarm_until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = 1 AND ticked_at = :ticked_at AND alarmed_at IS NULL
      AND (alarm_until IS NULL OR alarm_until < clock_timestamp())
    RETURNING alarm_until
""")
_HOLD = text("""
    UPDATE leader SET alarm_until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = 1 AND ticked_at = :ticked_at AND alarmed_at IS NULL AND alarm_until = :until
    RETURNING alarm_until
""")
_TOLD = text("""
    UPDATE leader SET alarmed_at = clock_timestamp(), alarm_until = NULL
    WHERE id = 1 AND ticked_at = :ticked_at AND alarmed_at IS NULL AND alarm_until = :until
    RETURNING id
""")


@dataclass(frozen=True, slots=True)
class LastTick:
    """When the controller ticked last, if it ever did, and whether its silence was told.

    All times are the database's own.
    """

    at: datetime | None
    now: datetime
    alarmed_at: datetime | None
    incarnation: str


def last_tick(session: ReadSession) -> LastTick:
    """Return when the controller ticked last."""
    row = session.execute(_LOOK).one()
    return LastTick(row.ticked_at, row.now, row.alarmed_at, str(row.incarnation))


def take_alarm(session: WriteSession, ticked_at: datetime, seconds: float) -> datetime | None:
    """Take it upon oneself, for so long, to tell of the silence since then; one caller does.

    Returns:
        until when, which `hold_alarm` takes; None: it is another's turn, or all is told.
    """
    values = {"ticked_at": ticked_at, "seconds": seconds}
    return session.execute(_TAKE, values).scalar_one_or_none()


def hold_alarm(
    session: WriteSession, ticked_at: datetime, until: datetime, seconds: float
) -> datetime | None:
    """Keep a turn that was taken until then for so long again; return until when it is now.

    None: it has become another's, or there is nothing to tell any more.
    """
    values = {"ticked_at": ticked_at, "until": until, "seconds": seconds}
    return session.execute(_HOLD, values).scalar_one_or_none()


def note_alarm(session: WriteSession, ticked_at: datetime, until: datetime) -> bool:
    """Write down that somebody was told of the silence since then, by whose turn it is until then.

    False when it is over, or another's turn by now: that one tells all of them.
    """
    return session.execute(_TOLD, {"ticked_at": ticked_at, "until": until}).first() is not None
