"""The queries of the job table.

What always holds: every moment in here is the database's own clock (`clock_timestamp()`), never
an argument; a statement that touches a running job names its lease token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, text

from mlreg.controller.store.tables import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

CHANNEL = "mlreg_jobs"
ENDED_CHANNEL = "mlreg_jobs_ended"

_INSERT = text("""
    INSERT INTO job (kind, payload, state, priority, dedupe_key, lock_key, attempt, max_attempts,
                     enqueued_at, not_before)
    VALUES (:kind, CAST(:payload AS jsonb), 'queued', :priority, :dedupe_key, :lock_key, 0,
            :max_attempts, clock_timestamp(), :not_before)
    ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running') DO NOTHING
    RETURNING id
""")

_TAKE = text("""
    UPDATE job
    SET state = 'running', attempt = attempt + 1, worker = :worker,
        lease_token = gen_random_uuid()::text,
        lease_until = clock_timestamp() + make_interval(secs => :lease_seconds)
    WHERE id = (
        SELECT waiting.id FROM job AS waiting
        WHERE waiting.state = 'queued'
          AND waiting.kind = ANY(:kinds)
          AND (waiting.not_before IS NULL OR waiting.not_before <= clock_timestamp())
          AND (waiting.lock_key IS NULL OR NOT EXISTS (
              SELECT 1 FROM job AS rival
              WHERE rival.state = 'running' AND rival.lock_key = waiting.lock_key))
        ORDER BY waiting.priority, waiting.id
        FOR UPDATE SKIP LOCKED LIMIT 1)
    RETURNING id, kind, payload, attempt, max_attempts, lease_token
""")

_EXPIRE = text("""
    UPDATE job
    SET state = CASE WHEN attempt >= max_attempts THEN 'dead' ELSE 'queued' END,
        ended_at = CASE WHEN attempt >= max_attempts THEN clock_timestamp() END,
        error = 'the lease of worker ' || coalesce(worker, '?')
                || ' ran out in attempt ' || attempt,
        lease_token = NULL, lease_until = NULL, worker = NULL
    WHERE id IN (
        SELECT late.id FROM job AS late
        WHERE late.state = 'running' AND late.lease_until < clock_timestamp()
          AND late.kind = ANY(:kinds)
        FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, payload, attempt, state, error
""")

_EXTEND = text("""
    UPDATE job SET lease_until = clock_timestamp() + make_interval(secs => :lease_seconds)
    WHERE id = :id AND lease_token = :token AND state = 'running'
""")

_LOCK_HELD = text("""
    SELECT 1 FROM job WHERE id = :id AND lease_token = :token AND state = 'running' FOR UPDATE
""")

_END = text("""
    UPDATE job
    SET state = :state, error = :error, outcome = CAST(:outcome AS jsonb),
        ended_at = clock_timestamp(),
        lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running'
    RETURNING id, kind, payload, attempt, state, error
""")

_POSTPONE = text("""
    UPDATE job
    SET state = 'queued', error = :error, attempt = attempt - :refund, worker = NULL,
        not_before = clock_timestamp() + make_interval(secs => :seconds),
        lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running'
    RETURNING id, kind, payload, attempt, state, error
""")

_CANCEL = text("""
    UPDATE job
    SET state = 'cancelled', error = :reason, ended_at = clock_timestamp(),
        lease_token = NULL, lease_until = NULL
    WHERE id = :id AND state IN ('queued', 'running')
    RETURNING id, kind, payload, attempt, state, error
""")

_NOTE = text("""
    UPDATE job SET outcome = CAST(:outcome AS jsonb)
    WHERE id = :id AND lease_token = :token AND state = 'running'
""")

_OF_KEY = text("""
    SELECT id FROM job WHERE dedupe_key = :key AND state IN ('queued', 'running')
""")

_OPEN = text("SELECT count(*) FROM job WHERE state IN ('queued', 'running') AND kind <> 'chore'")
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def insert(session: WriteSession, values: Mapping[str, Any]) -> int | None:
    """Insert a queued job; None when its dedupe key is queued or running already."""
    return session.execute(_INSERT, dict(values)).scalar_one_or_none()


def take_next(
    session: WriteSession, *, worker: str, kinds: Sequence[str], lease_seconds: float
) -> RowMapping | None:
    """Turn the first ready job of these kinds into a running one with a new lease token.

    Raises:
        sqlalchemy.exc.IntegrityError: a rival took a job of the same lock key at this moment.
    """
    values = {"worker": worker, "kinds": list(kinds), "lease_seconds": lease_seconds}
    return session.execute(_TAKE, values).mappings().one_or_none()


def expire(session: WriteSession, *, kinds: Sequence[str]) -> Sequence[RowMapping]:
    """Take back every job whose lease ran out: queued again, or dead when attempts are spent."""
    return session.execute(_EXPIRE, {"kinds": list(kinds)}).mappings().all()


def extend(session: WriteSession, *, job_id: int, token: str, lease_seconds: float) -> bool:
    """Give the holder of this token more time; False when the token no longer holds."""
    values = {"id": job_id, "token": token, "lease_seconds": lease_seconds}
    return session.connection().execute(_EXTEND, values).rowcount == 1


def lock_held(session: WriteSession, *, job_id: int, token: str) -> bool:
    """Lock the job's row until commit; False when this token no longer holds it."""
    values = {"id": job_id, "token": token}
    return session.execute(_LOCK_HELD, values).scalar_one_or_none() is not None


def end(session: WriteSession, values: Mapping[str, Any]) -> RowMapping | None:
    """End a held job; None when the token no longer holds it.

    Values: id, token, state, error, and outcome (JSON text or None).
    """
    return session.execute(_END, dict(values)).mappings().one_or_none()


def postpone(
    session: WriteSession, *, job_id: int, token: str, seconds: float, refund: int, error: str
) -> RowMapping | None:
    """Queue a held job again, ready in `seconds`; `refund` attempts are given back."""
    values = {"id": job_id, "token": token, "seconds": seconds, "refund": refund, "error": error}
    return session.execute(_POSTPONE, values).mappings().one_or_none()


def note(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """Write how far a held job is; False when the token no longer holds it.

    Values: id, token, outcome (JSON text).
    """
    return session.connection().execute(_NOTE, dict(values)).rowcount == 1


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
    """Count the jobs that are queued or running; chores are no business of business time."""
    return int(session.execute(_OPEN).scalar_one())


def notify(session: WriteSession, *, channel: str, payload: str) -> None:
    """Wake whoever listens on `channel` once this transaction commits."""
    session.execute(_NOTIFY, {"channel": channel, "payload": payload})
