"""Queries of the values that users post."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

_INSERT = text("""
    INSERT INTO business_value (model_id, environment, name, key, at, value, posted_at, posted_by)
    VALUES (:model_id, :environment, :name, :key, :at, :value, :posted_at, :posted_by)
    ON CONFLICT (model_id, environment, name, key) DO NOTHING
    RETURNING id
""")

_FIND = text("""
    SELECT at, value FROM business_value
    WHERE model_id = :model_id AND environment = :environment AND name = :name AND key = :key
""")

_ANY = text("""
    SELECT 1 FROM business_value
    WHERE model_id = :model_id AND environment = :environment AND name = :name LIMIT 1
""")

_FOLDED = text("""
    SELECT name, count(*) AS rows, sum(value) AS total FROM business_value
    WHERE model_id = :model_id AND environment = :environment AND at >= :start AND at < :end
    GROUP BY name ORDER BY name
""")


def insert_value(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """Write a value; False (and nothing written) if its key is taken."""
    return session.execute(_INSERT, values).one_or_none() is not None


def get_value(session: ReadSession, values: Mapping[str, Any]) -> tuple[datetime, float]:
    """Return time and value of a key that is known to be taken."""
    row = session.execute(_FIND, values).one()
    return row.at, row.value


def is_posted(session: ReadSession, place: Place, name: str) -> bool:
    """Say whether anything was ever posted under that name."""
    values = {"model_id": place[0], "environment": place[1], "name": name}
    return session.execute(_ANY, values).first() is not None


def totals(session: ReadSession, place: Place, window: Interval) -> dict[str, tuple[int, float]]:
    """Return, by name, how many values a window has, and their sum."""
    values = {
        "model_id": place[0],
        "environment": place[1],
        "start": window.start,
        "end": window.end,
    }
    return {row.name: (row.rows, row.total) for row in session.execute(_FOLDED, values)}
