"""Queries of jobs about one model that are asked for by hand: backtests, explanations.

What such a job found is its outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select

from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.tables import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession

LOOKED_BACK = 200_000


def find_answer(session: ReadSession, kind: str, number: int) -> Job | None:
    """Return a job of a kind by its number, None where that number is another's or nobody's."""
    job = find_job(session, number)
    return job if job is not None and job.kind == kind else None


def list_answers(
    session: ReadSession, kind: str, model_id: int, before: int | None, limit: int
) -> Sequence[Job]:
    """Return jobs of a kind about a model, the newest first, below a number where one is given.

    Only among the last `LOOKED_BACK` jobs of any kind, for there is no index to find older ones by.
    """
    since = select(func.max(Job.id) - LOOKED_BACK).scalar_subquery()
    query = select(Job).where(
        Job.kind == kind,
        col(Job.payload)["model_id"].as_integer() == model_id,
        col(Job.id) > since,
    )
    if before is not None:
        query = query.where(col(Job.id) < before)
    return session.exec(query.order_by(col(Job.id).desc()).limit(limit)).all()
