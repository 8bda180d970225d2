"""Checks of a snapshot against what is declared of its model's rows, because somebody asked.

What always holds: it is a job, for a snapshot may be large; it changes nothing, and its outcome
says of each invariant how many rows break it, and names a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.invariants.rows import Rows
from mlreg.controller.services import jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.checking import check_rows, columns_of
from mlreg.controller.services.invariants import get_invariants
from mlreg.controller.services.losses import check_still_there
from mlreg.controller.services.snapshot_rows import read_rows
from mlreg.controller.services.snapshots import SnapshotNotFoundError, get_snapshot
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "check"
PRIORITY = 90


class CheckNotFoundError(NotFoundError):
    """There is no check of that number."""

    code = "check_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no check {number}")


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a snapshot that was asked for, and what became of it."""

    number: int
    model_id: int
    state: str
    error: str | None
    found: dict[str, Any] | None


def request_check(
    session: WriteSession, model: Model, snapshot: str, *, actor: Actor, now: datetime
) -> int:
    """Ask for a snapshot to be checked; return the number of the check.

    Raises:
        InvariantsNotFoundError: nothing is declared of the model's rows.
        SnapshotNotFoundError: there is no such snapshot of this model.
    """
    declared = get_invariants(session, model)
    if get_snapshot(session, snapshot).body.model != model.name:
        raise SnapshotNotFoundError(digest=snapshot)
    number = jobs.enqueue(
        session,
        kind=KIND,
        payload={
            "model_id": catalog.id_of(model),
            "snapshot": snapshot,
            "invariants": declared.number,
        },
        priority=PRIORITY,
    )
    audit.record(
        session,
        action="invariants.check",
        subject=f"model:{model.name}",
        actor=actor,
        body={"check": number, "snapshot": snapshot, "invariants": declared.number},
        now=now,
    )
    return number or 0


def get_check(session: ReadSession, number: int) -> Check:
    """Return a check of a snapshot.

    Raises:
        CheckNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise CheckNotFoundError(number=number)
    return Check(number, job.payload["model_id"], job.state, job.error, job.outcome)


def perform(attempt: Attempt) -> None:
    """Check the snapshot that the job names, under what was declared when it was asked for."""
    payload: Mapping[str, Any] = attempt.lease.payload
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
        declared = get_invariants(session, model, payload["invariants"])
        body = get_snapshot(session, payload["snapshot"]).body
    table = read_rows(attempt.sources, model, body, columns_of(declared.invariants))
    found = check_rows(declared.invariants, Rows(table))
    broken = [one.invariant for one in found if one.finding.holds is False]
    attempt.check()
    with attempt.finish() as session:
        check_still_there(session, catalog.id_of(model), [body])
        attempt.outcome = {
            "snapshot": payload["snapshot"],
            "number": declared.number,
            "rows": table.num_rows,
            "blocked": [one.name for one in broken if one.severity == "block"],
            "invariants": [one.to_json() for one in found],
        }


HANDLER = Handler(perform, alert_if_dead)
