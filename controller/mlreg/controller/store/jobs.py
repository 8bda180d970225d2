"""The queries of the job table.

What always holds: every moment in here is the database's own clock (`clock_timestamp()`), never
an argument; a statement that touches a running job names its lease token.

A claim and a heartbeat do not wait for the disk. Should the server fall over in the moment after,
it has forgotten that somebody holds the job; then so has everybody, for no effect commits without
the lease. An effect waits, and with it everything before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - a named tuple's field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import RowMapping, text

from mlreg.controller.store.tables import Job
from mlreg.registry.store.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import TextClause

    from mlreg.registry.store.database import ReadSession, WriteSession

CHANNEL = "mlreg_jobs"
ENDED_CHANNEL = "mlreg_jobs_ended"

_INSERT = text("""
    INSERT INTO job (kind, payload, state, priority, model_id, turn, dedupe_key, lock_key, label,
                     attempt, max_attempts, enqueued_at, not_before)
    SELECT one.kind, one.payload, 'queued', one.priority, one.model_id,
           greatest(head.turn, own.turn, 0) + CASE WHEN one.model_id IS NULL THEN 0 ELSE
               row_number() OVER (PARTITION BY one.priority, one.model_id ORDER BY one.place) - 1
           END,
           one.dedupe_key, one.lock_key, one.label, 0, one.max_attempts, clock_timestamp(),
           one.not_before
    FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS one(
        place int, kind text, payload jsonb, priority int, model_id bigint, dedupe_key text,
        lock_key text, label text, max_attempts int, not_before timestamptz)
    LEFT JOIN LATERAL (
        SELECT ready.turn FROM job AS ready
        WHERE ready.state = 'queued' AND ready.held IS NULL AND ready.priority = one.priority
        ORDER BY ready.priority, ready.turn, ready.id LIMIT 1) AS head ON true
    LEFT JOIN LATERAL (
        SELECT last.turn + 1 AS turn FROM job AS last
        WHERE last.state = 'queued' AND last.model_id = one.model_id
          AND last.priority = one.priority
        ORDER BY last.turn DESC LIMIT 1) AS own ON true
    ORDER BY one.place
    ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running') DO NOTHING
    RETURNING id
""")
"""Models take turns: the n-th waiting job of one goes before the (n+1)-th of any other; the first
job of a model that had none waiting has the turn of whoever is next. (Start-time fair queueing:
Goyal, Vin and Cheng, SIGCOMM 1996, with jobs of equal weight.)"""

_TAKE = text("""
    WITH ready AS MATERIALIZED (
        SELECT waiting.id, waiting.lock_key, waiting.priority, waiting.turn,
               one.alone
        FROM job AS waiting
        CROSS JOIN LATERAL (
            SELECT (waiting.attempt + 1 >= waiting.max_attempts
                    AND waiting.lease_until > clock_timestamp() - interval '1 hour') IS TRUE
            AS alone) AS one
        WHERE waiting.state = 'queued'
          AND waiting.held IS NULL
          AND (CAST(:idle AS bool) OR NOT one.alone)
          AND waiting.kind = ANY(:kinds)
          AND (waiting.label IS NULL OR waiting.label = ANY(CAST(:labels AS text[])))
          AND waiting.id <> ALL(CAST(:declined AS bigint[]))
          AND (waiting.not_before IS NULL OR waiting.not_before <= clock_timestamp())
          AND (waiting.lock_key IS NULL OR NOT EXISTS (
              SELECT 1 FROM job AS rival
              WHERE rival.state = 'running' AND rival.lock_key = waiting.lock_key))
        ORDER BY waiting.priority, waiting.turn, waiting.id
        FOR UPDATE OF waiting SKIP LOCKED LIMIT :count),
    first AS (
        SELECT DISTINCT ON (coalesce(lock_key, 'job ' || id)) id, priority, turn, alone FROM ready
        ORDER BY coalesce(lock_key, 'job ' || id), priority, turn, id)
    UPDATE job
    SET state = 'running', attempt = attempt + 1, worker = :worker,
        lease_token = gen_random_uuid()::text, started_at = clock_timestamp(),
        price = CAST(:price AS numeric), currency = :currency,
        lease_until = clock_timestamp() + make_interval(secs => :lease_seconds)
    FROM first WHERE job.id = first.id
    RETURNING job.id, job.kind, job.payload, job.attempt, job.max_attempts, job.lease_token,
              first.alone, first.priority, first.turn
""")
"""A queued job that has the end of a lease was lost then, with its worker: its last attempt is for
an idle one; where all have much to do, after an hour for any."""

_EXPIRE = text("""
    UPDATE job
    SET state = CASE WHEN attempt >= max_attempts THEN 'dead' ELSE 'queued' END,
        ended_at = CASE WHEN attempt >= max_attempts THEN clock_timestamp() END,
        error = 'the lease of worker ' || coalesce(worker, '?')
                || ' ran out in attempt ' || attempt,
        lease_token = NULL, worker = NULL
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
    RETURNING id
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

_HOLD = text("""
    UPDATE job
    SET state = 'queued', attempt = attempt - 1, worker = NULL, held = :held,
        held_until = :until, not_before = :not_before, lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running'
""")

_RELEASE_HELD = text("""
    UPDATE job SET held = NULL, held_until = NULL, not_before = NULL
    WHERE id IN (
        SELECT late.id FROM job AS late
        WHERE late.state = 'queued' AND late.held IS NOT NULL
          AND coalesce(late.held_until <= :now, late.not_before <= clock_timestamp(), true)
        FOR UPDATE SKIP LOCKED)
    RETURNING kind
""")

_ANY_HELD = text("SELECT 1 FROM job WHERE state = 'queued' AND held IS NOT NULL LIMIT 1")
_COUNT_HELD = text("SELECT count(*) FROM job WHERE state = 'queued' AND held IS NOT NULL")
_NEXT_HELD = text("""
    SELECT min(held_until) FROM job
    WHERE state = 'queued' AND held IS NOT NULL AND held_until > :after
""")
_FREE_HELD = text("""
    UPDATE job SET held = NULL, held_until = NULL, not_before = NULL
    WHERE state = 'queued' AND held IS NOT NULL
    RETURNING kind
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
_UNFLUSHED = text("SELECT set_config('synchronous_commit', 'off', true)")


class Taken(NamedTuple):
    """A job that was claimed; by `priority`, `turn` and `id` one comes before another."""

    id: int
    kind: str
    payload: Mapping[str, object]
    attempt: int
    max_attempts: int
    token: str
    alone: bool
    priority: int
    turn: int


def insert(session: WriteSession, jobs: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """Insert queued jobs in one statement; return the ids of those that are new by dedupe key.

    Each has: kind, payload, priority, model_id, dedupe_key, lock_key, label, max_attempts,
    not_before (a text, or None).
    """
    placed = [{"place": place, **one} for place, one in enumerate(jobs)]
    values = {"jobs": json.dumps(placed, allow_nan=False)}
    return session.execute(_INSERT, values).scalars().all()


def take_next(session: WriteSession, values: Mapping[str, Any]) -> list[Taken]:
    """Turn the first jobs that are ready and fit into running ones, each with a new lease token.

    The transaction ends with it.

    Values: worker, kinds, lease_seconds, labels (jobs without one always fit), declined (the ids
    of jobs that do not fit), idle (whether it does nothing), count, and price and currency of a
    second (or None).

    Raises:
        sqlalchemy.exc.IntegrityError: a rival took a job of the same lock key at this moment.
    """
    return [Taken(*row) for row in _run_and_commit(session, _TAKE, values)]


def expire(session: WriteSession, *, kinds: Sequence[str]) -> Sequence[RowMapping]:
    """Take back every job whose lease ran out: queued again, or dead when attempts are spent."""
    return session.execute(_EXPIRE, {"kinds": list(kinds)}).mappings().all()


def extend(session: WriteSession, *, job_id: int, token: str, lease_seconds: float) -> bool:
    """Give the holder of this token more time; False when the token no longer holds.

    The transaction ends with it.
    """
    values = {"id": job_id, "token": token, "lease_seconds": lease_seconds}
    return bool(_run_and_commit(session, _EXTEND, values))


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


def hold(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """Queue a running job again until something is free; False when the token no longer holds.

    Values: id, token, held (what it waits for), until (business time) and not_before (real time),
    one of which is None.
    """
    return session.connection().execute(_HOLD, dict(values)).rowcount == 1


def any_held(session: ReadSession) -> bool:
    """Say whether any queued job is held."""
    return session.execute(_ANY_HELD).first() is not None


def count_held(session: ReadSession) -> int:
    """Count the queued jobs that are held."""
    return int(session.execute(_COUNT_HELD).scalar_one())


def next_held(session: ReadSession, after: datetime) -> datetime | None:
    """Return the first moment after this one at which business time frees a held job."""
    moment: datetime | None = session.execute(_NEXT_HELD, {"after": after}).scalar_one()
    return moment


def release_held(session: WriteSession, now: datetime) -> Sequence[str]:
    """Make the held jobs ready whose time has come; return their kinds."""
    return session.execute(_RELEASE_HELD, {"now": now}).scalars().all()


def free_held(session: WriteSession) -> Sequence[str]:
    """Make every held job ready: what held it has changed; return their kinds."""
    return session.execute(_FREE_HELD).scalars().all()


def prune(session: WriteSession, before: datetime, limit: int, kinds: Sequence[str]) -> int:
    """Delete jobs of these kinds that ended before a moment (real time); return how many."""
    values = {"before": before, "limit": limit, "kinds": list(kinds)}
    return session.connection().execute(_PRUNE, values).rowcount


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
    """Count the jobs that are running or ready; chores are no business of business time."""
    return int(session.execute(_OPEN).scalar_one())


def notify(session: WriteSession, *, channel: str, payload: str) -> None:
    """Wake whoever listens on `channel` once this transaction commits."""
    session.at_end(_NOTIFY, {"channel": channel, "payload": payload})


def _run_and_commit(
    session: WriteSession, statement: TextClause, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a statement and commit in one exchange, without a wait for the disk."""
    asked = [(_UNFLUSHED, {}), (statement, values)]
    return exchange(session.connection(), asked, commit=True)[-1]
