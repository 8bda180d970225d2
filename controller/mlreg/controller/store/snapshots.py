"""Queries of snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.registry.store.database import ReadSession, WriteSession

_NEXT = text("""
    INSERT INTO snapshot_count AS counted (model_id, last) VALUES (:model_id, 1)
    ON CONFLICT (model_id) DO UPDATE SET last = counted.last + 1 RETURNING last
""")
"""The row stays locked until the commit: who follows the numbers passes none over."""


def keep_snapshot(
    session: WriteSession,
    model_id: int,
    body: SnapshotBody,
    *,
    created_at: datetime,
    created_by: str,
) -> Snapshot:
    """Write a snapshot unless it is there, and return the row that is."""
    there = find_snapshot(session, body.digest)
    if there is not None:
        return there
    row = {
        "digest": body.digest,
        "model_id": model_id,
        "serial": session.execute(_NEXT, {"model_id": model_id}).scalar_one(),
        "body": body.to_bytes().decode(),
        "start": body.range.start,
        "end": body.range.end,
        "created_at": created_at,
        "created_by": created_by,
    }
    session.execute(insert(Snapshot).values(row).on_conflict_do_nothing())
    return session.exec(select(Snapshot).where(Snapshot.digest == body.digest)).one()


def find_snapshot(session: ReadSession, digest: str) -> Snapshot | None:
    """Return a snapshot by its digest."""
    return session.get(Snapshot, digest)


def find_all(session: ReadSession, digests: Sequence[str]) -> Sequence[Snapshot]:
    """Return the snapshots of those digests that there are."""
    return session.exec(select(Snapshot).where(col(Snapshot.digest).in_(digests))).all()


def list_snapshots(
    session: ReadSession, model_id: int, before: Snapshot | None, limit: int
) -> Sequence[Snapshot]:
    """Return snapshots of a model, the newest first, behind one of them where one is given."""
    statement = select(Snapshot).where(Snapshot.model_id == model_id)
    made, digest = col(Snapshot.created_at), col(Snapshot.digest)
    if before is not None:
        at_once = and_(made == before.created_at, digest > before.digest)
        statement = statement.where(or_(made < before.created_at, at_once))
    return session.exec(statement.order_by(made.desc(), digest).limit(limit)).all()
