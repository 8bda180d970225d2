"""Queries of the lineage graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import insert

from mlreg.registry.store.tables import LineageEdge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession


def add_edges(
    session: WriteSession,
    sources: Iterable[tuple[str, str]],
    target: tuple[str, str],
    now: datetime,
) -> None:
    """Write an arrow from each source (kind, name) to the target; repeating is fine."""
    kind, name = target
    rows = [
        {
            "source_kind": source_kind,
            "source": source,
            "target_kind": kind,
            "target": name,
            "created_at": now,
        }
        for source_kind, source in sorted(set(sources))
    ]
    if rows:
        session.execute(insert(LineageEdge).values(rows).on_conflict_do_nothing())
