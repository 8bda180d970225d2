"""Looking for what was answered to a key, and forgetting keys: a retry comes within hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, text

from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession

_keys = METADATA.tables["idempotency_key"]
SAME_KEY = (_keys.c.actor == bindparam("by")) & (_keys.c.key == bindparam("name"))
FIND_ANSWER = select(_keys.c.request_digest, _keys.c.status, _keys.c.body).where(SAME_KEY)
_PRUNE = text("""
    DELETE FROM idempotency_key WHERE (actor, key) IN (
        SELECT actor, key FROM idempotency_key WHERE created_at < :before
        ORDER BY created_at LIMIT :limit
    )
""")


def prune(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete keys that were used before a moment; return how many."""
    return int(session.execute(_PRUNE, {"before": before, "limit": limit}).rowcount)  # type: ignore[attr-defined]  # of a DELETE
