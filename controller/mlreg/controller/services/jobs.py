"""Durable jobs: enqueued in the caller's transaction, leased by a worker, fenced by a token.

What always holds:

- an attempt is counted when it is claimed, so a job that kills its worker still runs out of them;
- the effect of a job commits only in a transaction that checked its lease token (`effect`): a
  worker that was paused, cut off or cancelled does nothing more, and its work is not done twice;
- of jobs with one dedupe key at most one is queued or running, of one lock key at most one runs;
- a job that was lost with its worker has its last attempt alone in one: what ends a worker ends
  no other job for ever, and none ends it;
- leases live by the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

from sqlalchemy.exc import IntegrityError

from mlreg.client.redaction import redact_text
from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.store import jobs as rows
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import RowMapping

    from mlreg.controller.domain.budget import Hold
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]

PASSING_KINDS = ("drain", "train", "measure", "guard", "invariants", "source_window")
"""The kinds of which nobody asks once they ended long ago; their effects stand elsewhere."""
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


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to be added; see `enqueue`."""

    kind: str
    payload: Mapping[str, object]
    dedupe_key: str | None = None
    lock_key: str | None = None
    label: str | None = None
    priority: int = 100
    not_before: datetime | None = None
    max_attempts: int = 3

    def as_row(self) -> dict[str, object]:
        """Return what the store inserts; the model whose turn it is stands in the payload."""
        return {
            "kind": self.kind,
            "payload": dict(self.payload),
            "priority": self.priority,
            "model_id": self.payload.get("model_id"),
            "dedupe_key": self.dedupe_key,
            "lock_key": self.lock_key,
            "label": self.label,
            "max_attempts": self.max_attempts,
            "not_before": None if self.not_before is None else self.not_before.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker takes.

    Attributes:
        worker: its name.
        kinds: those that it can do.
        lease_seconds: without a heartbeat for so long, a job is taken back.
        labels: the worker's; a job without a label fits every worker.
        declined: jobs that it gave back as none of its own.
        price: what a second of it costs, if it was told.
        idle: whether it does nothing else: else it gets no job that is to be alone.
    """

    worker: str
    kinds: tuple[str, ...]
    lease_seconds: float
    labels: tuple[str, ...] = ()
    declined: tuple[int, ...] = ()
    price: Price | None = None
    idle: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """What a second of a worker costs; the currency is a text for people."""

    per_second: Decimal
    currency: str


def enqueue(  # noqa: PLR0913 - each is one property of a job, and each has its default
    session: WriteSession,
    *,
    kind: str,
    payload: Mapping[str, object],
    dedupe_key: str | None = None,
    lock_key: str | None = None,
    label: str | None = None,
    priority: int = 100,
    not_before: datetime | None = None,
    max_attempts: int = 3,
) -> int | None:
    """Add a job to the caller's transaction and wake a worker when that commits.

    Args:
        session: the transaction whose commit makes the job exist.
        kind: the name of the function that will do it; workers leave kinds they do not know.
        payload: JSON; ids, not content.
        dedupe_key: while a job with this key is queued or running, no second one is added.
        lock_key: while a job with this key runs, this one waits, and others pass it.
        label: only a worker with this label takes it; None: any does.
        priority: lower goes first.
        not_before: real time (the database's clock), not business time.
        max_attempts: after so many it is dead.

    Returns:
        The job's id; None when an equal one (by `dedupe_key`) is queued or running.
    """
    wanted = JobRequest(
        kind,
        payload,
        dedupe_key=dedupe_key,
        lock_key=lock_key,
        label=label,
        priority=priority,
        not_before=not_before,
        max_attempts=max_attempts,
    )
    found = enqueue_all(session, [wanted])
    return found[0] if found else None


def enqueue_all(session: WriteSession, wanted: Sequence[JobRequest]) -> Sequence[int]:
    """Add jobs to the caller's transaction in one statement; return the ids of those added.

    Jobs of one model take their turns in the order given, and other models' jobs go between.
    """
    added = rows.insert(session, [one.as_row() for one in wanted])
    if added:
        for kind in sorted({one.kind for one in wanted}):
            rows.notify(session, channel=rows.CHANNEL, payload=kind)
    return added


def claim(
    database: Database,
    worker: str,
    kinds: Sequence[str],
    lease_seconds: float,
    *,
    labels: Collection[str] = (),
    declined: Collection[int] = (),
) -> Lease | None:
    """Take the first ready job that fits; None when there is none (or a rival was first).

    See `claim_all` for the arguments.
    """
    found = claim_all(
        database,
        Claim(worker, tuple(kinds), lease_seconds, tuple(labels), tuple(declined)),
        1,
    )
    return found[0] if found else None


def claim_all(database: Database, claim: Claim, count: int) -> list[Lease]:
    """Take up to so many ready jobs that fit, in one short transaction, the first to go first.

    Of jobs with one lock key it takes the first. None are taken when a rival took a job of the
    same lock key at this very moment: ask again.
    """
    values = {
        "worker": claim.worker,
        "kinds": list(claim.kinds),
        "lease_seconds": claim.lease_seconds,
        "labels": list(claim.labels),
        "declined": list(claim.declined),
        "idle": claim.idle,
        "price": None if claim.price is None else str(claim.price.per_second),
        "currency": None if claim.price is None else claim.price.currency,
        "count": count,
    }
    try:
        with database.writing() as session:
            found = rows.take_next(session, values)
    except IntegrityError:  # the unique lock key
        return []
    ordered = sorted(found, key=lambda one: (one.priority, one.turn, one.id))
    return [_lease(one, claim.lease_seconds) for one in ordered]


def take_back(session: WriteSession, kinds: Sequence[str]) -> list[Ended]:
    """Queue every job again whose lease ran out; those without attempts left are dead."""
    ended = [_ended(row) for row in rows.expire(session, kinds=kinds)]
    for job in ended:
        rows.notify(session, channel=rows.CHANNEL, payload=job.kind)
        _tell_the_end(session, job)
    return ended


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
    rows.notify(session, channel=rows.CHANNEL, payload=lease.kind)
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


def any_held(session: ReadSession) -> bool:
    """Say whether any job waits for a budget."""
    return rows.any_held(session)


def count_held(session: ReadSession) -> int:
    """Count the jobs that wait for a budget."""
    return rows.count_held(session)


def next_held(session: ReadSession, after: datetime) -> datetime | None:
    """Return the first moment (business time) after this one at which a held job is free."""
    return rows.next_held(session, after)


def release_held(session: WriteSession, now: datetime) -> int:
    """Make the held jobs ready whose time has come (business or real); return how many."""
    return _wake(session, rows.release_held(session, now))


def free_held(session: WriteSession) -> int:
    """Make every held job ready, for what held it has changed; return how many."""
    return _wake(session, rows.free_held(session))


def _wake(session: WriteSession, kinds: Sequence[str]) -> int:
    for kind in sorted(set(kinds)):
        rows.notify(session, channel=rows.CHANNEL, payload=kind)
    return len(kinds)


def cancel(session: WriteSession, job_id: int, reason: str) -> Ended | None:
    """End a queued or running job; its worker learns of it by its next heartbeat or effect.

    Returns:
        None when the job has ended already.
    """
    row = rows.cancel(session, job_id=job_id, reason=reason)
    if row is None:
        return None
    ended = _ended(row)
    _tell_the_end(session, ended)
    return ended


def find_open(session: ReadSession, dedupe_key: str) -> int | None:
    """Return the id of the queued or running job of this key, if there is one."""
    return rows.find_open(session, dedupe_key)


def prune(session: WriteSession, before: datetime, limit: int) -> int:
    """Forget passing jobs that ended before a moment (real time); return how many.

    Of other kinds the job is the record: what was asked for by hand, or that it was tried.
    """
    return rows.prune(session, before, limit, PASSING_KINDS)


def count_open(session: ReadSession) -> int:
    """Count the jobs that are queued or running, but for chores."""
    return rows.count_open(session)


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
    ended = _ended(row)
    _tell_the_end(session, ended)
    return ended


def _tell_the_end(session: WriteSession, job: Ended) -> None:
    rows.notify(session, channel=rows.ENDED_CHANNEL, payload=f"{job.job_id} {job.state}")


def _lease(one: rows.Taken, seconds: float) -> Lease:
    return Lease(
        job_id=one.id,
        kind=one.kind,
        payload=one.payload,
        token=one.token,
        attempt=one.attempt,
        max_attempts=one.max_attempts,
        seconds=seconds,
        alone=one.alone,
    )


def _ended(row: RowMapping) -> Ended:
    return Ended(
        job_id=row["id"],
        kind=row["kind"],
        payload=row["payload"],
        state=cast("JobState", row["state"]),
        attempt=row["attempt"],
        error=row["error"] or "",
    )
