"""The queries of attempts at jobs: claimed, extended, ended, postponed, taken back.

What always holds: every moment in here is the database's own clock (`clock_timestamp()`), never
an argument; a statement that touches a running job names its lease token.

A claim and a heartbeat do not wait for the disk. Should the server fall over in the moment after,
it has forgotten that somebody holds the job; then so has everybody, for no effect commits without
the lease. An effect waits, and with it everything before it.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a named tuple's field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import RowMapping, text

from mlreg.registry.store.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import TextClause

    from mlreg.registry.store.database import WriteSession

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

_NOTE = text("""
    UPDATE job SET outcome = CAST(:outcome AS jsonb)
    WHERE id = :id AND lease_token = :token AND state = 'running'
""")

_ADD = text("""
    UPDATE job SET payload = payload || CAST(:added AS jsonb) WHERE id = :id
""")

_HOLD = text("""
    UPDATE job
    SET state = 'queued', attempt = attempt - 1, worker = NULL, held = :held,
        held_until = :until, not_before = :not_before, lease_token = NULL, lease_until = NULL
    WHERE id = :id AND lease_token = :token AND state = 'running'
""")
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


def note(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """Write how far a held job is; False when the token no longer holds it.

    Values: id, token, outcome (JSON text).
    """
    return session.connection().execute(_NOTE, dict(values)).rowcount == 1


def add_to_payload(session: WriteSession, job_id: int, added: str) -> None:
    """Add keys (JSON text) to the payload of a job whose row is locked."""
    session.execute(_ADD, {"id": job_id, "added": added})


def _run_and_commit(
    session: WriteSession, statement: TextClause, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a statement and commit in one exchange, without a wait for the disk."""
    asked = [(_UNFLUSHED, {}), (statement, values)]
    return exchange(session.connection(), asked, commit=True)[-1]
