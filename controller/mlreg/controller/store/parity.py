"""Queries of what can be replayed: the deployments whose champion mlreg can score."""

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


def list_replayable(session: ReadSession, window: Interval) -> Sequence[tuple[int, str, int]]:
    """Return model, environment and champion of deployments whose log has rows of a window."""
    logged = exists().where(
        col(Segment.model_id) == Deployment.model_id,
        col(Segment.kind) == "predictions",
        col(Segment.start) < window.end,
        col(Segment.end) >= window.start,
    )
    query = (
        select(Deployment.model_id, Deployment.environment, Version.number)
        .join(
            Version,
            (col(Version.model_id) == Deployment.model_id)
            & (col(Version.number) == Deployment.champion),
        )
        .join(Model, col(Model.id) == Deployment.model_id)
        .where(
            Version.flavour == "lightgbm-text",
            col(Version.feature_contract).is_not(None),
            col(Model.archived_at).is_(None),
            logged,
        )
        .order_by(col(Deployment.model_id), col(Deployment.environment))
    )
    found = session.exec(query).all()
    return [(model_id, environment, number) for model_id, environment, number in found]
