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
    *,
    model_id: int,
) -> None:
    """Write an arrow from each source (kind, name) to the target; repeating is fine.

    Args:
        session: the transaction of what the arrows tell.
        sources: what was used.
        target: what came of it.
        now: business time.
        model_id: the model whose record says so.
    """
    kind, name = target
    rows = [
        {
            "source_kind": source_kind,
            "source": source,
            "target_kind": kind,
            "target": name,
            "model_id": model_id,
            "created_at": now,
        }
        for source_kind, source in sorted(set(sources))
    ]
    if rows:
        session.execute(insert(LineageEdge).values(rows).on_conflict_do_nothing())
