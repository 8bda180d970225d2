"""The query of the queue of runs: their order, and what each waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession

WaitsFor = Literal["worker", "lock", "budget", "label", "time"]

_QUEUE = text("""
    WITH waiting AS (
        SELECT job.id, job.priority, job.turn, job.held, job.label, job.not_before,
               rival.payload ->> 'run_id' AS rival_run, run.id AS run, run.environment, run.cause,
               run.created_at, model.name,
               CASE
                   WHEN job.held IS NOT NULL THEN 'budget'
                   WHEN job.not_before > clock_timestamp() THEN 'time'
                   WHEN rival.id IS NOT NULL THEN 'lock'
                   WHEN job.label IS NOT NULL AND NOT EXISTS (
                       SELECT 1 FROM member WHERE member.until > clock_timestamp()
                       AND member.labels @> to_jsonb(job.label)) THEN 'label'
                   ELSE 'worker'
               END AS waits_for
        FROM job
        JOIN run ON run.id = CAST(job.payload ->> 'run_id' AS bigint)
        JOIN model ON model.id = run.model_id
        LEFT JOIN job AS rival ON rival.state = 'running' AND rival.lock_key = job.lock_key
        WHERE job.state = 'queued' AND job.kind = 'train'),
    placed AS (
        SELECT *, CASE WHEN waits_for = 'worker' THEN
               count(*) FILTER (WHERE waits_for = 'worker')
               OVER (ORDER BY priority, turn, id) END AS position
        FROM waiting)
    SELECT run, name, environment, cause, priority, waits_for, position,
           held, label, not_before, rival_run, created_at
    FROM placed
    WHERE CAST(:names AS text[]) IS NULL OR name = ANY(CAST(:names AS text[]))
    ORDER BY position NULLS LAST, priority, turn, id LIMIT :limit
""")


class Waiting(NamedTuple):
    """A queued run; `position` is None where it waits for something other than its turn."""

    run: int
    model: str
    environment: str
    cause: str
    priority: int
    waits_for: WaitsFor
    position: int | None
    held: str | None
    label: str | None
    not_before: datetime | None
    rival_run: str | None
    asked_at: datetime


def list_waiting(session: ReadSession, names: Collection[str] | None, limit: int) -> list[Waiting]:
    """Return the queued runs, of models of `names` only where they are given, in their order."""
    values = {"names": None if names is None else list(names), "limit": limit}
    return [Waiting(*row) for row in session.execute(_QUEUE, values)]
