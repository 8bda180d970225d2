"""Erasing one entity from the log: its predictions and their labels, wherever they are kept.

```
NotFoundError
└── ErasureNotFoundError   there is no erasure of that number
UnavailableError
└── LogChangedError        segments came and went again and again; the job tries once more
```

What always holds: what waits is drained first, so it is found too; segments that hold the entity
are written anew without it and take the place of the old ones in one transaction with the record of
it, so a worker that dies in between has changed nothing; that transaction is given up if a segment
is there that was not looked into. The entity's name stands in the database only until then, in the
audit log never: there, and in the record, stands a digest of it. Snapshots that referred to an old
segment have lost it, and say so. The old bytes are collected as any that nobody needs; what cannot
be reached stands in the erasure's report.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from mlreg.controller.domain.erasures import Report, check_reason, sorted_remainders
from mlreg.controller.domain.losses import ERASED
from mlreg.controller.services import jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.compaction import keep_segment, new_segment
from mlreg.controller.services.draining import drain_model, reclaim_slots
from mlreg.controller.services.entity_rows import EntitySearch
from mlreg.controller.services.version_rows import find_in_versions
from mlreg.controller.store import log_upkeep, row_traces
from mlreg.controller.store.feedback import lock_model
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.log_upkeep import Loss
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.tables import Erasure
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import NotFoundError, UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import id_of
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.erasures import Remainder
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "erase"
PRIORITY = 30
MAX_LOOKS = 5


class ErasureNotFoundError(NotFoundError):
    """There is no erasure of that number."""

    code = "erasure_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no erasure {number}")


class LogChangedError(UnavailableError):
    """Segments came, or were merged, each time that this erasure had looked into all of them."""

    code = "log_changed"

    def __init__(self) -> None:
        super().__init__("the log's segments changed meanwhile")


def request_erasure(
    session: WriteSession, model: Model, entity: str, reason: str, *, actor: Actor, now: datetime
) -> Erasure:
    """Ask for an entity to be erased from the log of a model; a worker does it.

    Raises:
        EntityInReasonError: the reason names the entity.
    """
    check_reason(reason, entity)
    erasure = Erasure(
        model_id=id_of(model),
        entity=entity,
        entity_digest=digest_of(entity.encode()),
        reason=reason,
        requested_by=actor.name,
        requested_at=now,
    )
    session.add(erasure)
    session.flush()
    payload = {"erasure": erasure.id, "model_id": erasure.model_id}
    erasure.job_id = jobs.enqueue(
        session,
        kind=KIND,
        payload=payload,
        lock_key=f"{KIND}:{erasure.model_id}",
        priority=PRIORITY,
    )
    session.flush()
    _record(session, "log.erase", model, erasure, {"reason": reason}, actor=actor, now=now)
    return erasure


def get_erasure(session: ReadSession, number: int) -> Erasure:
    """Return an erasure.

    Raises:
        ErasureNotFoundError: there is none of that number.
    """
    found = log_upkeep.find_erasure(session, number)
    if found is None:
        raise ErasureNotFoundError(number=number)
    return found


def state_of(session: ReadSession, erasure: Erasure) -> tuple[str, str | None]:
    """Return how the job of an erasure is doing, and why its last attempt failed.

    A job that succeeded after the erasure was read is still running, as far as was read.
    """
    if erasure.ended_at is not None:
        return "succeeded", None
    job = None if erasure.job_id is None else find_job(session, erasure.job_id)
    if job is None:
        return "dead", None
    return ("running" if job.state == "succeeded" else job.state), job.error


def perform(attempt: Attempt) -> None:
    """Erase the entity that the job's erasure names.

    Raises:
        LogChangedError: the segments changed again and again; another attempt may go well.
    """
    number = cast("int", attempt.lease.payload["erasure"])
    with attempt.database.reading() as session:
        erasure = get_erasure(session, number)
        model = model_of(session, erasure.model_id)
    if erasure.entity is None:
        with attempt.finish():
            return
    now = attempt.clock.now()
    drain_model(attempt.database, attempt.store, erasure.model_id, now=now)
    failpoint("erase_drained")
    search = EntitySearch(attempt, model, erasure.entity)
    for looks_left in reversed(range(MAX_LOOKS)):
        search.look()
        remaining = (*search.remaining, *find_in_versions(attempt, model, search.ids))
        failpoint("erase_before_commit")
        try:
            with attempt.finish() as session:
                _erase(session, search, number, remaining, now)
                attempt.outcome = {"erasure": number}
                failpoint("erase_in_commit")
        except LogChangedError:
            if not looks_left:
                raise
        else:
            break
    failpoint("erase_after_commit")
    reclaim_slots(attempt.database)


def _erase(
    session: WriteSession,
    search: EntitySearch,
    number: int,
    remaining: Sequence[Remainder],
    now: datetime,
) -> None:
    """Take out what was found, everywhere at once, and write it down."""
    model_id = id_of(search.model)
    lock_model(session, model_id)
    if not search.is_settled(session):
        raise LogChangedError
    lost = [*search.rewritten, *search.answers]
    snapshots = log_upkeep.count_snapshots(session, lost)
    counts = _replace(session, search, number, now)
    log_upkeep.delete_drained(session, model_id)
    report = Report(
        segments=len(search.rewritten),
        answers=len(search.answers),
        snapshots=snapshots,
        evidence=row_traces.forget_rows(session, model_id, search.ids),
        remaining=sorted_remainders(remaining),
    )
    row = get_erasure(session, number)
    row.entity, row.ended_at = None, now
    row.predictions, row.labels = counts["predictions"], counts["labels"]
    row.report = report.to_json()
    session.add(row)
    session.flush()
    joined = Report(joined=number)
    log_upkeep.end_earlier(session, row, json.dumps(joined.to_json()), now)
    body = {**counts, **_audited(report), "lost": lost}
    _record(session, "log.erased", search.model, row, body, actor=SYSTEM, now=now)


def _replace(
    session: WriteSession, search: EntitySearch, number: int, now: datetime
) -> dict[str, int]:
    """Put the new segments in the place of the old ones; return the rows that went, by kind."""
    model_id, found = id_of(search.model), search.rewritten
    in_log = log_upkeep.lock_in_log(session, list(found))
    losses = [Loss(digest, rows) for digest, rows in search.answers.items()]
    counts = {"predictions": 0, "labels": 0}
    for one in found.values():
        replaced_by = None
        if one.old in in_log:
            counts[one.kind] += one.rows
            if one.left is not None and one.blob is not None:
                replaced_by = one.blob.digest
                segment = new_segment(model_id, one.left, one.blob, now)
                keep_segment(session, search.attempt.store, segment, now=now)
        losses.append(Loss(one.old, one.rows, replaced_by))
    log_upkeep.lose(session, model_id, losses, cause=ERASED, now=now, erasure_id=number)
    return counts


def _audited(report: Report) -> dict[str, object]:
    """Return what the audit log keeps of a report."""
    form = report.to_json()
    return {name: form[name] for name in ("snapshots", "evidence", "remaining")}


def _record(  # noqa: PLR0913 - an entry has its parts
    session: WriteSession,
    action: str,
    model: Model,
    erasure: Erasure,
    body: dict[str, object],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        action=action,
        subject=f"model:{model.name}",
        actor=actor,
        body={"erasure": erasure.id, "entity_digest": erasure.entity_digest, **body},
        now=now,
    )


HANDLER = Handler(perform, alert_if_dead)
