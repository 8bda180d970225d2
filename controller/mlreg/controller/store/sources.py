"""Queries of the files of sources that were hashed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_FIND = text("SELECT url, state, digest FROM source_file WHERE url = ANY(:urls)")
_KEEP = text("""
    INSERT INTO source_file (url, state, digest, seen_at)
    SELECT fresh.url, fresh.state, fresh.digest, :now
    FROM unnest(CAST(:urls AS text[]), CAST(:states AS text[]), CAST(:digests AS text[]))
         AS fresh (url, state, digest)
    ORDER BY fresh.url
    ON CONFLICT (url) DO UPDATE
    SET state = excluded.state, digest = excluded.digest, seen_at = excluded.seen_at
""")
_FORGET = text("DELETE FROM source_file WHERE url = :url")


def find_digests(session: ReadSession, urls: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return URL → (state, digest) of the files that were hashed before."""
    found = session.execute(_FIND, {"urls": list(urls)})
    return {row.url: (row.state, row.digest) for row in found}


def keep_digests(
    session: WriteSession, digests: Mapping[str, tuple[str, str]], now: datetime
) -> None:
    """Write URL → (state, digest) over what was there."""
    given = {
        "urls": list(digests),
        "states": [state for state, _ in digests.values()],
        "digests": [digest for _, digest in digests.values()],
    }
    session.execute(_KEEP, {**given, "now": now})


def forget_digest(session: WriteSession, url: str) -> None:
    """Take out what is remembered of a file."""
    session.execute(_FORGET, {"url": url})
