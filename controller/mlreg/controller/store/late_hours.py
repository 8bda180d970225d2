"""Queries of hours that rows came for when they were past.

What always holds: who takes hours (`take`, `forget`) sees, in its next statement, the profiles of
every drain that noted them: a drain holds the rows that it notes until it commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

_NOTE = text("""
    INSERT INTO late_hour (model_id, environment, start)
    SELECT state.model_id, state.environment, hour.start
    FROM policy_state AS state, unnest(CAST(:starts AS timestamptz[])) AS hour (start)
    WHERE state.model_id = :model_id AND state.enabled
      AND hour.start + interval '1 hour' <= greatest(:now, state.evaluated_until)
    ORDER BY state.environment, hour.start
    ON CONFLICT (model_id, environment, start) DO UPDATE SET start = excluded.start
""")
_ANY = text("""
    SELECT 1 FROM late_hour
    WHERE model_id = :model_id AND environment = :environment AND start < :border LIMIT 1
""")
_TAKE = text("""
    DELETE FROM late_hour
    WHERE model_id = :model_id AND environment = :environment AND start IN (
        SELECT start FROM late_hour
        WHERE model_id = :model_id AND environment = :environment AND start < :border
        ORDER BY start LIMIT :limit FOR UPDATE)
    RETURNING start
""")
_FORGET = text("""
    DELETE FROM late_hour
    WHERE model_id = :model_id AND environment = :environment AND start IN (
        SELECT start FROM late_hour
        WHERE model_id = :model_id AND environment = :environment
          AND start >= :first AND start < :border
        ORDER BY start FOR UPDATE)
""")
_FORGET_OF_MANY = text("""
    DELETE FROM late_hour WHERE (model_id, environment, start) IN (
        SELECT late.model_id, late.environment, late.start
        FROM jsonb_to_recordset(CAST(:spans AS jsonb)) AS one (
            model_id bigint, environment text, start timestamptz, "end" timestamptz)
        JOIN late_hour AS late ON late.model_id = one.model_id
            AND late.environment = one.environment
            AND late.start >= one.start AND late.start < one."end"
        ORDER BY late.model_id, late.environment, late.start FOR UPDATE OF late)
""")


def note(session: WriteSession, model_id: int, starts: Sequence[datetime], now: datetime) -> None:
    """Note the hours that are past (by a clock that may go back) of those rows were added to."""
    if starts:
        values = {"model_id": model_id, "starts": sorted(set(starts)), "now": now}
        session.execute(_NOTE, values)


def are_there(session: ReadSession, place: Place, border: datetime) -> bool:
    """Say whether hours wait that began before a moment."""
    values = {"model_id": place[0], "environment": place[1], "border": border}
    return session.execute(_ANY, values).first() is not None


def take(session: WriteSession, place: Place, border: datetime, limit: int) -> list[datetime]:
    """Take out the oldest hours that began before a moment, and return them in order."""
    values = {"model_id": place[0], "environment": place[1], "border": border, "limit": limit}
    return sorted(session.execute(_TAKE, values).scalars())


def forget(session: WriteSession, place: Place, window: Interval) -> None:
    """Take out the hours of a window that is about to be read for the first time."""
    values = {"model_id": place[0], "environment": place[1]}
    session.execute(_FORGET, {**values, "first": window.start, "border": window.end})


def forget_of_many(session: WriteSession, windows: Sequence[tuple[Place, Interval]]) -> None:
    """Take out the hours of windows of many deployments, as `forget` does of one."""
    spans = [
        {"model_id": place[0], "environment": place[1], "start": one.start, "end": one.end}
        for place, one in windows
    ]
    session.execute(_FORGET_OF_MANY, {"spans": to_json(spans).decode()})
