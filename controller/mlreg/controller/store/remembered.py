"""Queries of how older versions did on the rows of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import VersionMetrics
from mlreg.registry.store.tables import Revision, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession


def find_metrics(
    session: ReadSession, model_id: int, snapshot: str, numbers: Collection[int]
) -> dict[int, dict[str, Any]]:
    """Return the metrics of those of the versions that were measured on a snapshot."""
    query = select(VersionMetrics).where(
        VersionMetrics.model_id == model_id,
        VersionMetrics.snapshot == snapshot,
        col(VersionMetrics.version).in_(numbers),
    )
    return {row.version: row.metrics for row in session.exec(query)}


def keep_metrics(
    session: WriteSession,
    model_id: int,
    snapshot: str,
    metrics: Mapping[int, Mapping[str, float]],
    now: datetime,
) -> None:
    """Write down how versions did on a snapshot, each once."""
    rows = [
        {
            "model_id": model_id,
            "version": number,
            "snapshot": snapshot,
            "metrics": dict(found),
            "created_at": now,
        }
        for number, found in sorted(metrics.items())
    ]
    if rows:
        session.execute(insert(VersionMetrics).values(rows).on_conflict_do_nothing())


def former_champions(session: ReadSession, deployment_id: int) -> Sequence[int]:
    """Return the versions that have served in a deployment, ascending."""
    query = (
        select(Revision.champion)
        .where(Revision.deployment_id == deployment_id, col(Revision.champion).is_not(None))
        .distinct()
        .order_by(col(Revision.champion))
    )
    return [number for number in session.exec(query) if number is not None]


def versions_of_contract(
    session: ReadSession, model_id: int, contract: str, numbers: Collection[int]
) -> Sequence[Version]:
    """Return those of the versions that are of a feature contract, and neither gone nor retired."""
    query = select(Version).where(
        Version.model_id == model_id,
        Version.feature_contract == contract,
        col(Version.number).in_(numbers),
        col(Version.deleted_at).is_(None),
        col(Version.archived_at).is_(None),
    )
    return session.exec(query).all()
