"""Leases: the right of one worker to do one attempt of one job.

What always holds: the effect of a job commits only in a transaction that checked its lease token
(`effect`): a worker that was paused, cut off or cancelled does nothing more, and its work is not
done twice; leases live by the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from mlreg.client.redaction import redact_text
from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.store import leases as rows
from mlreg.controller.store.jobs import CHANNEL, ENDED_CHANNEL, notify
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from mlreg.controller.domain.budget import Hold
    from mlreg.registry.store.database import Database, WriteSession

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0
MAX_ERROR_CHARACTERS = 2_000


class LeaseLostError(RefusedError):
    """The job was taken back: its lease ran out, or somebody cancelled it."""

    code = "lease_lost"

    def __init__(self, *, job_id: int) -> None:
        super().__init__(f"the lease of job {job_id} is lost; nothing of it was changed")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to do one attempt of one job, until `seconds` without heartbeat.

    Attributes:
        alone: nothing else may be done in the process meanwhile.
    """

    job_id: int
    kind: str
    payload: Mapping[str, object]
    token: str
    attempt: int
    max_attempts: int
    seconds: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an attempt: the job's new state, queued when it will be tried again."""

    job_id: int
    kind: str
    payload: Mapping[str, object]
    state: JobState
    attempt: int
    error: str


def heartbeat(database: Database, lease: Lease) -> None:
    """Give the lease its full time again.

    Raises:
        LeaseLostError: the job was taken back or cancelled; stop working on it.
    """
    with database.writing() as session:
        if not rows.extend(
            session, job_id=lease.job_id, token=lease.token, lease_seconds=lease.seconds
        ):
            raise LeaseLostError(job_id=lease.job_id)


def note(database: Database, lease: Lease, progress: Mapping[str, object]) -> None:
    """Say how far the job is, to who asks; its end puts the outcome in the place of it.

    Raises:
        LeaseLostError: the job was taken back or cancelled; stop working on it.
    """
    values = {"id": lease.job_id, "token": lease.token, "outcome": json.dumps(dict(progress))}
    with database.writing() as session:
        if not rows.note(session, values):
            raise LeaseLostError(job_id=lease.job_id)


def effect(session: WriteSession, lease: Lease) -> None:
    """Make the rest of this transaction part of the job: it commits only under this lease.

    Call it first. The job's row stays locked until the commit, so nobody can take the job back
    between the check and the effect.

    Raises:
        LeaseLostError: the job was taken back or cancelled; the transaction must not commit.
    """
    if not rows.lock_held(session, job_id=lease.job_id, token=lease.token):
        raise LeaseLostError(job_id=lease.job_id)


def add_to_payload(session: WriteSession, lease: Lease, added: Mapping[str, object]) -> None:
    """Keep on the job what its first attempt settled for those that follow; call `effect` first."""
    rows.add_to_payload(session, lease.job_id, json.dumps(dict(added), allow_nan=False))


def complete(
    session: WriteSession, lease: Lease, outcome: Mapping[str, object] | None = None
) -> Ended:
    """End the job as succeeded, in the transaction of its last effect.

    Args:
        session: the transaction of the last effect.
        lease: the attempt that succeeded.
        outcome: JSON, kept on the job for who asked for it.

    Raises:
        LeaseLostError: the job was taken back or cancelled.
    """
    return _end(session, lease, state="succeeded", outcome=outcome)


def fail(session: WriteSession, lease: Lease, error: str, *, final: bool = False) -> Ended:
    """Record a failed attempt: queued again after a growing pause, or ended.

    Args:
        session: the transaction of the caller.
        lease: the attempt that failed.
        error: one line for people.
        final: another attempt cannot help (wrong input): the job ends as `failed`. Otherwise it
            is `dead` once its attempts are spent.

    Raises:
        LeaseLostError: the job was taken back or cancelled.
    """
    if final:
        return _end(session, lease, state="failed", error=error)
    if lease.attempt >= lease.max_attempts:
        return _end(session, lease, state="dead", error=error)
    pause = min(FIRST_RETRY_SECONDS * 2.0 ** (lease.attempt - 1), LAST_RETRY_SECONDS)
    return _postpone(session, lease, seconds=pause, refund=0, error=error)


def release(session: WriteSession, lease: Lease, why: str) -> Ended:
    """Give the job back untouched, with the reason: queued at once, the attempt not counted.

    Raises:
        LeaseLostError: the job was taken back or cancelled.
    """
    released = _postpone(session, lease, seconds=0.0, refund=1, error=why)
    notify(session, channel=CHANNEL, payload=lease.kind)
    return released


def hold(session: WriteSession, lease: Lease, why: Hold) -> None:
    """Queue the job again until what holds it is free; the attempt is not counted.

    Raises:
        LeaseLostError: the job was taken back or cancelled.
    """
    values = {
        "id": lease.job_id,
        "token": lease.token,
        "held": str(why),
        "until": None if why.is_real else why.frees_at,
        "not_before": why.frees_at if why.is_real else None,
    }
    if not rows.hold(session, values):
        raise LeaseLostError(job_id=lease.job_id)


def ended_of(session: WriteSession, row: RowMapping) -> Ended:
    """Return what became of an attempt, and tell whoever waits for its end."""
    ended = Ended(
        job_id=row["id"],
        kind=row["kind"],
        payload=row["payload"],
        state=cast("JobState", row["state"]),
        attempt=row["attempt"],
        error=row["error"] or "",
    )
    notify(session, channel=ENDED_CHANNEL, payload=f"{ended.job_id} {ended.state}")
    return ended


def _end(
    session: WriteSession,
    lease: Lease,
    *,
    state: JobState,
    error: str | None = None,
    outcome: Mapping[str, object] | None = None,
) -> Ended:
    values = {
        "id": lease.job_id,
        "token": lease.token,
        "state": state,
        "error": None if error is None else _told_plainly(error),
        "outcome": None if outcome is None else json.dumps(dict(outcome), allow_nan=False),
    }
    return _told(session, lease, rows.end(session, values))


def _told_plainly(error: str) -> str:
    """Return an error as it is stored: in one line, bounded, without secrets of a known form."""
    return redact_text(plain_text(error)[:MAX_ERROR_CHARACTERS])


def _postpone(
    session: WriteSession, lease: Lease, *, seconds: float, refund: int, error: str
) -> Ended:
    row = rows.postpone(
        session,
        job_id=lease.job_id,
        token=lease.token,
        seconds=seconds,
        refund=refund,
        error=_told_plainly(error),
    )
    return _told(session, lease, row)


def _told(session: WriteSession, lease: Lease, row: RowMapping | None) -> Ended:
    if row is None:
        raise LeaseLostError(job_id=lease.job_id)
    return ended_of(session, row)
