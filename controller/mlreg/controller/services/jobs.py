"""Durable jobs: enqueued in the caller's transaction, done once by a worker (`leases.py`).

What always holds: of jobs with one dedupe key at most one is queued or running; a job exists, and a
worker is woken, when the transaction of who asked for it commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.services.leases import ended_of
from mlreg.controller.store import held_jobs
from mlreg.controller.store import jobs as rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.services.leases import Ended
    from mlreg.registry.store.database import ReadSession, WriteSession

PASSING_KINDS = ("drain", "train", "measure", "guard", "invariants", "source_window")
"""The kinds of which nobody asks once they ended long ago; their effects stand elsewhere."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to be added; see `enqueue`."""

    kind: str
    payload: Mapping[str, object]
    dedupe_key: str | None = None
    lock_key: str | None = None
    label: str | None = None
    priority: int = 100
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
        }


def enqueue(  # noqa: PLR0913 - each is one property of a job, and each has its default
    session: WriteSession,
    *,
    kind: str,
    payload: Mapping[str, object],
    dedupe_key: str | None = None,
    lock_key: str | None = None,
    label: str | None = None,
    priority: int = 100,
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


def cancel(session: WriteSession, job_id: int, reason: str) -> Ended | None:
    """End a queued or running job; its worker learns of it by its next heartbeat or effect.

    Returns:
        None when the job has ended already.
    """
    row = rows.cancel(session, job_id=job_id, reason=reason)
    return None if row is None else ended_of(session, row)


def any_held(session: ReadSession) -> bool:
    """Say whether any job waits for a budget."""
    return held_jobs.any_held(session)


def count_held(session: ReadSession) -> int:
    """Count the jobs that wait for a budget."""
    return held_jobs.count_held(session)


def next_held(session: ReadSession, after: datetime) -> datetime | None:
    """Return the first moment (business time) after this one at which a held job is free."""
    return held_jobs.next_held(session, after)


def release_held(session: WriteSession, now: datetime) -> int:
    """Make the held jobs ready whose time has come (business or real); return how many."""
    return _wake(session, held_jobs.release_held(session, now))


def free_held(session: WriteSession, model_id: int | None = None) -> int:
    """Make the held jobs of a model (None: all) ready: what held them has changed; count them."""
    return _wake(session, held_jobs.free_held(session, model_id))


def _wake(session: WriteSession, kinds: Sequence[str]) -> int:
    for kind in sorted(set(kinds)):
        rows.notify(session, channel=rows.CHANNEL, payload=kind)
    return len(kinds)


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
