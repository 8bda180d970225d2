"""Queries of backtests, which are the outcomes of their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select

from mlreg.controller.store.tables import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession

KIND = "backtest"
LOOKED_BACK = 200_000


def list_backtests(session: ReadSession, model_id: int, limit: int) -> Sequence[Job]:
    """Return the newest jobs that replay the history of a model, the newest first.

    Only among the last `LOOKED_BACK` jobs of any kind, for there is no index to find older ones by.
    """
    since = select(func.max(Job.id) - LOOKED_BACK).scalar_subquery()
    query = (
        select(Job)
        .where(
            Job.kind == KIND,
            col(Job.payload)["model_id"].as_integer() == model_id,
            col(Job.id) > since,
        )
        .order_by(col(Job.id).desc())
        .limit(limit)
    )
    return session.exec(query).all()
