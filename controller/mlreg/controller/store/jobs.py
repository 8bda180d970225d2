"""The queries of the job table by those who ask for jobs.

What always holds: every moment in here is the database's own clock (`clock_timestamp()`), never
an argument.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, text

from mlreg.controller.store.tables import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

CHANNEL = "mlreg_jobs"
ENDED_CHANNEL = "mlreg_jobs_ended"

_INSERT = text("""
    WITH one AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS one(
            place int, kind text, payload jsonb, priority int, model_id bigint, dedupe_key text,
            lock_key text, label text, max_attempts int)),
    running AS MATERIALIZED (
        SELECT priority, label, model_id, turn FROM job WHERE state = 'running'),
    present AS MATERIALIZED (
        SELECT asked.priority, asked.label, greatest(near.turn, served.turn) AS turn
        FROM (SELECT DISTINCT priority, label FROM one) AS asked
        LEFT JOIN LATERAL (
            SELECT coalesce(min(first.turn) FILTER (
                WHERE first.label IS NOT DISTINCT FROM asked.label), min(first.turn)) AS turn
            FROM (SELECT ready.turn, ready.label FROM job AS ready
                  WHERE ready.state = 'queued' AND ready.held IS NULL
                    AND ready.priority = asked.priority
                  ORDER BY ready.priority, ready.turn, ready.id LIMIT 100) AS first) AS near ON true
        LEFT JOIN LATERAL (
            SELECT max(running.turn) AS turn FROM running
            WHERE running.priority = asked.priority
              AND running.label IS NOT DISTINCT FROM asked.label) AS served ON true)
    INSERT INTO job (kind, payload, state, priority, model_id, turn, dedupe_key, lock_key, label,
                     attempt, max_attempts, enqueued_at)
    SELECT one.kind, one.payload, 'queued', one.priority, one.model_id,
           greatest(present.turn, own.turn, going.turn, 0)
           + CASE WHEN one.model_id IS NULL THEN 0 ELSE
               row_number() OVER (PARTITION BY one.priority, one.model_id ORDER BY one.place) - 1
           END,
           one.dedupe_key, one.lock_key, one.label, 0, one.max_attempts, clock_timestamp()
    FROM one
    JOIN present ON present.priority = one.priority
                AND present.label IS NOT DISTINCT FROM one.label
    LEFT JOIN LATERAL (
        SELECT last.turn + 1 AS turn FROM job AS last
        WHERE last.state = 'queued' AND last.model_id = one.model_id
          AND last.priority = one.priority
        ORDER BY last.turn DESC LIMIT 1) AS own ON true
    LEFT JOIN LATERAL (
        SELECT max(running.turn) + 1 AS turn FROM running
        WHERE running.priority = one.priority AND running.model_id = one.model_id) AS going ON true
    ORDER BY one.place
    ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running') DO NOTHING
    RETURNING id
""")
"""Models take turns: the n-th waiting job of one goes before the (n+1)-th of any other; the first
job of a model that had none waiting has the turn of whoever is next, or is having it. Those of its
own label count, where there are any near: at the head may stand what nobody can take for weeks.
(Start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996, with jobs of equal weight.)"""

_CANCEL = text("""
    UPDATE job
    SET state = 'cancelled', error = :reason, ended_at = clock_timestamp(),
        lease_token = NULL, lease_until = least(lease_until, clock_timestamp())
    WHERE id = :id AND state IN ('queued', 'running')
    RETURNING id, kind, payload, attempt, state, error
""")

_PRUNE = text("""
    DELETE FROM job WHERE id IN (
        SELECT id FROM job
        WHERE ended_at < :before AND kind = ANY(CAST(:kinds AS text[]))
        ORDER BY ended_at LIMIT :limit)
""")

_OF_KEY = text("""
    SELECT id FROM job WHERE dedupe_key = :key AND state IN ('queued', 'running')
""")

_OPEN = text("""
    SELECT count(*) FROM job
    WHERE state IN ('queued', 'running') AND kind <> 'chore' AND held IS NULL
""")
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def insert(session: WriteSession, jobs: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """Insert queued jobs in one statement; return the ids of those that are new by dedupe key.

    Each has: kind, payload, priority, model_id, dedupe_key, lock_key, label and
    max_attempts.
    """
    placed = [{"place": place, **one} for place, one in enumerate(jobs)]
    values = {"jobs": json.dumps(placed, allow_nan=False)}
    return session.execute(_INSERT, values).scalars().all()


def prune(session: WriteSession, before: datetime, limit: int, kinds: Sequence[str]) -> int:
    """Delete jobs of these kinds that ended before a moment (real time); return how many."""
    values = {"before": before, "limit": limit, "kinds": list(kinds)}
    return session.connection().execute(_PRUNE, values).rowcount


def cancel(session: WriteSession, *, job_id: int, reason: str) -> RowMapping | None:
    """End a queued or running job as cancelled; None when it has ended already."""
    return session.execute(_CANCEL, {"id": job_id, "reason": reason}).mappings().one_or_none()


def find_job(session: ReadSession, job_id: int) -> Job | None:
    """Return a job."""
    return session.get(Job, job_id)


def find_open(session: ReadSession, dedupe_key: str) -> int | None:
    """Return the id of the queued or running job of this key."""
    return session.execute(_OF_KEY, {"key": dedupe_key}).scalar_one_or_none()


def count_open(session: ReadSession) -> int:
    """Count the jobs that are running or ready; chores are no business of business time."""
    return int(session.execute(_OPEN).scalar_one())


def notify(session: WriteSession, *, channel: str, payload: str) -> None:
    """Wake whoever listens on `channel` once this transaction commits."""
    session.at_end(_NOTIFY, {"channel": channel, "payload": payload})
