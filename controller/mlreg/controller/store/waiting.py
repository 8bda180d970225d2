"""Queries of firings that wait for what nobody knows the end of: an open run, a freeze."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_OVER = """
    FROM policy_state AS state
    WHERE state.enabled AND state.memory #>> '{waiting,why}' IN ('busy', 'frozen')
      AND state.memory ->> 'woken' IS NULL
      AND CASE state.memory #>> '{waiting,why}'
        WHEN 'busy' THEN NOT EXISTS (
            SELECT FROM run WHERE run.model_id = state.model_id
              AND run.environment = state.environment AND run.state IN ('queued', 'running'))
        ELSE NOT EXISTS (
            SELECT FROM deployment WHERE deployment.model_id = state.model_id
              AND deployment.environment = state.environment AND deployment.frozen) END
"""
_IS_OVER = text(f"SELECT 1 {_OVER} LIMIT 1")
_WAKE = text(f"""
    UPDATE policy_state SET next_fire_at = least(next_fire_at, :now),
        memory = jsonb_set(memory, '{{woken}}', to_jsonb(CAST(:woken AS text)))
    WHERE id IN (SELECT state.id {_OVER} FOR UPDATE OF state SKIP LOCKED)
""")  # noqa: S608 - no value of anybody's


def is_over(session: ReadSession) -> bool:
    """Say whether any policy waits for a run that has ended, or a freeze that was lifted."""
    return session.execute(_IS_OVER).first() is not None


def wake(session: WriteSession, now: datetime) -> int:
    """Have every such policy look; return how many there are."""
    found = session.execute(_WAKE, {"now": now, "woken": now.isoformat()})
    return cast("int", found.rowcount)  # type: ignore[attr-defined]
