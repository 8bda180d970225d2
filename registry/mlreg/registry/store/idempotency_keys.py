"""Forgetting idempotency keys: a retry comes within hours, not after a month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession

_PRUNE = text("""
    DELETE FROM idempotency_key WHERE (actor, key) IN (
        SELECT actor, key FROM idempotency_key WHERE created_at < :before
        ORDER BY created_at LIMIT :limit
    )
""")


def prune(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete keys that were used before a moment; return how many."""
    return int(session.execute(_PRUNE, {"before": before, "limit": limit}).rowcount)  # type: ignore[attr-defined]  # of a DELETE
