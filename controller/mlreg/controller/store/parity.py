"""Queries of what may be replayed: the champions whose log has rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists
from sqlmodel import col, select

from mlreg.controller.store.tables import Segment
from mlreg.registry.store.tables import Deployment, Model, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import ReadSession


def list_logged_champions(
    session: ReadSession, window: Interval
) -> Sequence[tuple[int, str, Version]]:
    """Return model, environment and champion of deployments whose log has rows of a window."""
    logged = exists().where(
        col(Segment.model_id) == Deployment.model_id,
        col(Segment.kind) == "predictions",
        col(Segment.start) < window.end,
        col(Segment.end) >= window.start,
    )
    query = (
        select(Deployment.model_id, Deployment.environment, Version)
        .join(
            Version,
            (col(Version.model_id) == Deployment.model_id)
            & (col(Version.number) == Deployment.champion),
        )
        .join(Model, col(Model.id) == Deployment.model_id)
        .where(
            col(Version.feature_contract).is_not(None),
            col(Model.archived_at).is_(None),
            logged,
        )
        .order_by(col(Deployment.model_id), col(Deployment.environment))
    )
    return session.exec(query).all()
