"""Queries of runs and their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert
from sqlmodel import col, select

from mlreg.client.redaction import redact_lines
from mlreg.controller.store.tables import Run, RunLog
from mlreg.registry.store.tables import Decision, Model

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlmodel.sql.expression import SelectOfScalar

    from mlreg.registry.store.database import ReadSession, WriteSession


def _views() -> SelectOfScalar[tuple[Run, str, str | None]]:
    """Select runs with the name of their model and the verdict of their decision."""
    return (
        select(Run, Model.name, Decision.verdict)  # type: ignore[return-value]
        .join(Model, col(Model.id) == col(Run.model_id))
        .outerjoin(Decision, col(Decision.id) == col(Run.decision_id))
    )


def find_run(session: ReadSession, run_id: int) -> tuple[Run, str, str | None] | None:
    """Return a run with the name of its model and the verdict of its decision."""
    return session.exec(_views().where(col(Run.id) == run_id)).one_or_none()


def lock_run(session: WriteSession, run_id: int) -> Run | None:
    """Return a run as of now, its row locked until the commit."""
    query = (
        select(Run)
        .where(col(Run.id) == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.exec(query).one_or_none()


def runs_before(  # noqa: PLR0913 - what one may choose by
    session: ReadSession,
    *,
    model_id: int | None,
    environment: str | None,
    state: str | None,
    before: int | None,
    limit: int,
    names: Collection[str] | None = None,
) -> Sequence[tuple[Run, str, str | None]]:
    """Return runs as `find_run` does, newest first, below `before`."""
    query = _views()
    if model_id is not None:
        query = query.where(col(Run.model_id) == model_id)
    if environment is not None:
        query = query.where(col(Run.environment) == environment)
    if state is not None:
        query = query.where(col(Run.state) == state)
    if names is not None:
        query = query.where(col(Model.name).in_(names))
    if before is not None:
        query = query.where(col(Run.id) < before)
    return session.exec(query.order_by(col(Run.id).desc()).limit(limit)).all()


def stateful_runs(session: ReadSession, model_id: int, environment: str) -> int:
    """Return how many stateful runs succeeded (or still may) since the last full one."""
    mine = (
        Run.model_id == model_id,
        Run.environment == environment,
        col(Run.state).in_(["queued", "running", "succeeded"]),
    )
    full = select(func.coalesce(func.max(Run.id), 0)).where(*mine, Run.lane == "full")
    query = select(func.count()).where(
        *mine,
        col(Run.lane).in_(["refit", "continue"]),
        col(Run.id) > full.scalar_subquery(),
    )
    return session.exec(query).one()


def log_after(session: ReadSession, run_id: int, after: int, limit: int) -> Sequence[RunLog]:
    """Return the lines of a run's log beyond `after`, oldest first."""
    query = (
        select(RunLog)
        .where(col(RunLog.run_id) == run_id, col(RunLog.id) > after)
        .order_by(col(RunLog.id))
        .limit(limit)
    )
    return session.exec(query).all()


def log_of_attempt(session: ReadSession, run_id: int, attempt: int, limit: int) -> Sequence[RunLog]:
    """Return the first lines of one attempt at a run, oldest first."""
    query = (
        select(RunLog)
        .where(col(RunLog.run_id) == run_id, col(RunLog.attempt) == attempt)
        .order_by(col(RunLog.id))
        .limit(limit)
    )
    return session.exec(query).all()


def add_lines(
    session: WriteSession, run_id: int, attempt: int, lines: Sequence[str], at: datetime
) -> None:
    """Add lines to a run's log, in their order and without secrets of a known form."""
    kept = redact_lines(lines)
    rows = [{"run_id": run_id, "attempt": attempt, "at": at, "line": line} for line in kept]
    if rows:
        session.execute(insert(RunLog).values(rows))
