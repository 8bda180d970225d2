"""The queries of jobs that wait for a budget: held until business or real time frees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_RELEASE_HELD = text("""
    WITH last_minute AS MATERIALIZED (SELECT clock_timestamp() - interval '1 minute' AS began),
    ended AS MATERIALIZED (
        SELECT max(cost.at) AS at FROM cost JOIN run ON run.id = cost.run_id
        WHERE cost.at > (SELECT began FROM last_minute) AND run.granted_seconds IS NOT NULL)
    UPDATE job SET held = NULL, held_until = NULL, not_before = NULL
    WHERE id IN (
        SELECT late.id FROM job AS late, last_minute, ended
        WHERE late.state = 'queued' AND late.held IS NOT NULL
          AND coalesce(late.held_until <= :now, late.not_before <= clock_timestamp(),
                       late.started_at < greatest(last_minute.began, ended.at))
        FOR UPDATE OF late SKIP LOCKED)
    RETURNING kind
""")
"""What no time frees was looked at when it was claimed: it is again when seconds that were granted
since to another run are free, or a minute is over; a bound that is changed frees it by itself."""
_ANY_HELD = text("SELECT 1 FROM job WHERE state = 'queued' AND held IS NOT NULL LIMIT 1")
_COUNT_HELD = text("SELECT count(*) FROM job WHERE state = 'queued' AND held IS NOT NULL")
_NEXT_HELD = text("""
    SELECT min(held_until) FROM job
    WHERE state = 'queued' AND held IS NOT NULL AND held_until > :after
""")
_FREE_HELD = text("""
    UPDATE job SET held = NULL, held_until = NULL, not_before = NULL
    WHERE state = 'queued' AND held IS NOT NULL
      AND (CAST(:model_id AS bigint) IS NULL OR model_id = :model_id)
    RETURNING kind
""")


def any_held(session: ReadSession) -> bool:
    """Say whether any queued job is held."""
    return session.execute(_ANY_HELD).first() is not None


def count_held(session: ReadSession) -> int:
    """Count the queued jobs that are held."""
    return int(session.execute(_COUNT_HELD).scalar_one())


def next_held(session: ReadSession, after: datetime) -> datetime | None:
    """Return the first moment after this one at which business time frees a held job."""
    moment: datetime | None = session.execute(_NEXT_HELD, {"after": after}).scalar_one()
    return moment


def release_held(session: WriteSession, now: datetime) -> Sequence[str]:
    """Make the held jobs ready whose time has come; return their kinds."""
    return session.execute(_RELEASE_HELD, {"now": now}).scalars().all()


def free_held(session: WriteSession, model_id: int | None) -> Sequence[str]:
    """Make the held jobs of a model (None: all) ready: what held them has changed."""
    return session.execute(_FREE_HELD, {"model_id": model_id}).scalars().all()
