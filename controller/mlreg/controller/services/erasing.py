"""Erasing one entity from the log: its predictions and their labels, wherever they are kept.

```
NotFoundError
└── ErasureNotFoundError   there is no erasure of that number
UnavailableError
└── LogChangedError        segments were merged meanwhile; the job tries again
```

What always holds: what waits is drained first, so it is found too; segments that hold the entity
are written anew without it and take the place of the old ones in one transaction with the record of
it, so a worker that dies in between has changed nothing; the entity's name stands in the database
only until then, in the audit log never: there, and in the record, stands a digest of it. Snapshots
that referred to an old segment have lost it, and say so. The old bytes are collected as any that
nobody needs.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import ENTITY, PREDICTION_ID, Kind
from mlreg.controller.domain.losses import ERASED
from mlreg.controller.feedback.segments import NewSegment, make_segment, read_groups
from mlreg.controller.services import jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.compaction import keep_segment, new_segment
from mlreg.controller.services.draining import drain_model, reclaim_slots
from mlreg.controller.store import explanations, log_upkeep
from mlreg.controller.store.feedback import lock_model
from mlreg.controller.store.log_upkeep import Loss
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.tables import Erasure
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import NotFoundError, UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import id_of
from mlreg.registry.services.uploads import BlobFile, send_blob
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

LOG = logging.getLogger(__name__)
KIND = "erase"
PRIORITY = 30


class ErasureNotFoundError(NotFoundError):
    """There is no erasure of that number."""

    code = "erasure_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no erasure {number}")


class LogChangedError(UnavailableError):
    """Segments were merged or erased while this erasure read them; it begins again."""

    code = "log_changed"

    def __init__(self) -> None:
        super().__init__("the log's segments changed meanwhile")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A segment that held the entity, and what is left of it; None if nothing is."""

    kind: Kind
    old: str
    rows: int
    left: NewSegment | None
    blob: BlobFile | None


def request_erasure(
    session: WriteSession, model: Model, entity: str, reason: str, *, actor: Actor, now: datetime
) -> Erasure:
    """Ask for an entity to be erased from the log of a model; a worker does it."""
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
    jobs.enqueue(
        session,
        kind=KIND,
        payload=payload,
        lock_key=f"{KIND}:{erasure.model_id}",
        priority=PRIORITY,
    )
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


def perform(attempt: Attempt) -> None:
    """Erase the entity that the job's erasure names.

    Raises:
        LogChangedError: the segments changed meanwhile; another attempt may go well.
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
    reclaim_slots(attempt.database)  # what was drained just now leaves the ring at its next turn
    rewritten = _rewrite(attempt, erasure.model_id, erasure.entity)
    failpoint("erase_before_commit")
    with attempt.finish() as session:
        counts = _replace(session, attempt.store, number, erasure.model_id, rewritten, now)
        explanations.forget_rows(session, erasure.model_id)  # they may name rows of the entity
        row = get_erasure(session, number)
        row.entity, row.ended_at = None, now
        row.predictions, row.labels = counts["predictions"], counts["labels"]
        session.add(row)
        attempt.outcome = {**counts, "segments": len(rewritten)}
        body = {**counts, "segments": [one.old for one in rewritten]}
        _record(session, "log.erased", model, row, body, actor=SYSTEM, now=now)


def _rewrite(attempt: Attempt, model_id: int, entity: str) -> list[Rewritten]:
    """Write every segment that holds the entity anew, one at a time."""
    with attempt.database.reading() as session:
        predictions = log_upkeep.list_holders(session, model_id, "predictions")
        labels = log_upkeep.list_holders(session, model_id, "labels")
    ids: set[str] = set()

    def about(rows: pa.Table) -> pa.Array:
        found = pc.fill_null(pc.equal(rows[ENTITY], entity), fill_value=False)
        ids.update(rows[PREDICTION_ID].filter(found).to_pylist())
        return found

    rewritten = _without(attempt, "predictions", predictions, ENTITY, about)
    wanted = pa.array(sorted(ids), pa.string())

    def of_them(rows: pa.Table) -> pa.Array:
        return pc.is_in(rows[PREDICTION_ID], value_set=wanted)

    return rewritten + _without(attempt, "labels", labels if ids else [], PREDICTION_ID, of_them)


def _without(
    attempt: Attempt,
    kind: Kind,
    digests: list[str],
    column: str,
    find: Callable[[pa.Table], pa.Array],
) -> list[Rewritten]:
    found = []
    for digest in digests:
        attempt.check()
        columns = list(dict.fromkeys([PREDICTION_ID, column]))
        if not any(pc.any(find(rows)).as_py() for rows in _groups(attempt, digest, columns)):
            continue
        tables = list(_groups(attempt, digest, None))
        left = [rows.filter(pc.invert(find(rows))) for rows in tables]
        rest = sum(rows.num_rows for rows in left)
        segment = make_segment(kind, left) if rest else None
        blob = send_blob(attempt.store, io.BytesIO(segment.content)) if segment else None
        gone = sum(rows.num_rows for rows in tables) - rest
        found.append(Rewritten(kind, digest, gone, segment, blob))
    return found


def _groups(attempt: Attempt, digest: str, columns: list[str] | None) -> Iterator[pa.Table]:
    """Read a segment; nothing where its bytes are gone already."""
    try:
        yield from read_groups(attempt.store, digest, columns, None)
    except BlobNotFoundError:
        LOG.warning("segment %s is gone, so there is nothing in it to erase", digest)


def _replace(
    session: WriteSession,
    store: ArtifactStore,
    number: int,
    model_id: int,
    rewritten: list[Rewritten],
    now: datetime,
) -> dict[str, int]:
    """Put the new segments in the place of the old ones; return the rows that went, by kind."""
    lock_model(session, model_id)
    holders = {
        kind: set(log_upkeep.list_holders(session, model_id, kind))
        for kind in ("predictions", "labels")
    }
    if any(one.old not in holders[one.kind] for one in rewritten):
        raise LogChangedError
    in_log = log_upkeep.lock_in_log(session, [one.old for one in rewritten])
    losses, counts = [], {"predictions": 0, "labels": 0}
    for one in rewritten:
        replaced_by = None
        if one.old in in_log:
            counts[one.kind] += one.rows
            if one.left is not None and one.blob is not None:
                replaced_by = one.blob.digest
                segment = new_segment(model_id, one.left, one.blob, now)
                keep_segment(session, store, segment, now=now)
        losses.append(Loss(one.old, one.rows, replaced_by))
    log_upkeep.lose(session, model_id, losses, cause=ERASED, now=now, erasure_id=number)
    return counts


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
