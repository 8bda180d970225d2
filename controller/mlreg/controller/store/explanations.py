"""Queries of explanations, which are the outcomes of their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, text
from sqlmodel import col, select

from mlreg.controller.store.tables import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

KIND = "explain"
LOOKED_BACK = 200_000

_FORGET = text("""
    UPDATE job
    SET outcome = CASE WHEN outcome ? 'worst' THEN jsonb_set(outcome, '{worst}', '[]')
                       ELSE outcome END
    WHERE kind = 'explain' AND CAST(payload ->> 'model_id' AS bigint) = :model_id
      AND outcome IS NOT NULL
""")


def list_explanations(session: ReadSession, model_id: int, limit: int) -> Sequence[Job]:
    """Return the newest jobs that explain a window of a model, the newest first.

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


def forget_rows(session: WriteSession, model_id: int) -> None:
    """Take the single rows out of what was found in a model's windows."""
    session.execute(_FORGET, {"model_id": model_id})
