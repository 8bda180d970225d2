"""Claims: how a worker comes by jobs, and how those of a lost worker are taken back.

What always holds: an attempt is counted when it is claimed, so a job that kills its worker still
runs out of them; of jobs with one lock key at most one runs; a job that was lost with its worker
has its last attempt alone in one: what ends a worker ends no other job for ever, and none ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from mlreg.controller.services.leases import Ended, Lease, ended_of
from mlreg.controller.store import leases as rows
from mlreg.controller.store.jobs import CHANNEL, notify

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.registry.store.database import Database, WriteSession


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
    ended = [ended_of(session, row) for row in rows.expire(session, kinds=kinds)]
    for job in ended:
        notify(session, channel=CHANNEL, payload=job.kind)
    return ended


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
