"""The drain: waiting batches become segments and window profiles, each batch exactly once.

What always holds: a segment's blob is stored before the one transaction that writes the segment,
its batches, and the profiles of its hours; that transaction begins by locking the batches and gives
up if any of them is drained already. So it does not matter where a drain is killed, nor how many
run at once: until the commit nothing happened, after it everything did. A blob that nobody refers
to is all that a loser leaves, and the sweep takes it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from sqlalchemy.exc import OperationalError

from mlreg.controller.domain.bins import Bins
from mlreg.controller.feedback.columns import HourProfile
from mlreg.controller.feedback.drain import (
    MAX_ROUND_ROWS,
    DrainedRows,
    WaitingRows,
    drain_profiles,
    drain_rows,
    versions_in,
)
from mlreg.controller.services.compaction import compact_model, keep_segment, new_segment
from mlreg.controller.services.profiles import add_hours
from mlreg.controller.store import feedback, late_hours, profiles
from mlreg.registry.services.uploads import BlobFile, send_blob
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from mlreg.controller.domain.batches import Kind
    from mlreg.controller.store.feedback import WaitingBytes
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

LOG = logging.getLogger(__name__)
MAX_ROUND_BODIES = 2_000
MAX_ROUND_BATCHES = 100_000
MAX_ROUND_BYTES = 128 * 2**20
"""A round takes about five times as much memory, however much waits."""
_READ_BODIES = 16
DUE_AGE = timedelta(minutes=1)
DUE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Drained:
    """What one call of `drain_model` did."""

    batches: int = 0
    prediction_rows: int = 0
    label_rows: int = 0

    def __add__(self, other: Drained) -> Drained:
        return Drained(
            self.batches + other.batches,
            self.prediction_rows + other.prediction_rows,
            self.label_rows + other.label_rows,
        )


@dataclass(frozen=True, slots=True)
class _Round:
    """One round's work: everything that its transaction writes."""

    model_id: int
    parts: Sequence[DrainedRows]
    blobs: Sequence[BlobFile]
    hours: dict[str, list[HourProfile]]
    now: datetime


def drain_model(
    database: Database, store: ArtifactStore, model_id: int, *, now: datetime
) -> Drained:
    """Drain every batch of a model that waits; harmless to repeat, and to run twice at once.

    Raises:
        StorageFullError, StoreUnreachableError: the batches go on waiting; nothing is lost.
    """
    total = Drained()
    while True:
        waiting = _waiting(database, model_id)
        if not waiting:
            break
        total += _drain_round(database, store, model_id, waiting, now)
    reclaim_slots(database)
    compact_model(database, store, model_id, now=now)
    return total


def due_models(database: Database, now: datetime) -> list[int]:
    """Return the models whose waiting batches are a minute old, or are many.

    For a controller that lives in real time; under the virtual clock every tick drains everything.
    """
    with database.reading() as session:
        return [
            waiting.model_id
            for waiting in feedback.list_waiting_models(session)
            if waiting.rows >= DUE_ROWS or now - waiting.oldest >= DUE_AGE
        ]


def reclaim_slots(database: Database) -> None:
    """Turn the ring: empty the slots that are drained, and send new batches to an empty one.

    A slot that is in use just now is left for the next time.
    """
    try:
        with database.writing() as session:
            _turn_ring(session)
    except OperationalError as error:
        LOG.info("the slots of waiting batches are busy; the next drain tries again: %s", error)


def _waiting(database: Database, model_id: int) -> list[WaitingRows]:
    """Read the oldest batches that wait, as many as make one segment."""
    with database.reading() as session:
        chosen: list[WaitingBytes] = []
        rows = 0
        for one in feedback.list_waiting(session, model_id, MAX_ROUND_BATCHES):
            rows += one.rows
            if chosen and (rows > MAX_ROUND_ROWS or len(chosen) == MAX_ROUND_BODIES):
                break
            chosen.append(one)
        bodies = _bodies(session, [one.number for one in chosen])
    return [
        WaitingRows(one.number, cast("Kind", one.kind), bodies[one.number], one.ids)
        for one in chosen
        if one.number in bodies
    ]


def _bodies(session: ReadSession, numbers: Sequence[int]) -> dict[int, bytes]:
    """Read waiting bytes, the first of them, until they are as many as a round takes."""
    found: dict[int, bytes] = {}
    size = 0
    for first in range(0, len(numbers), _READ_BODIES):
        if size > MAX_ROUND_BYTES:
            break
        read = feedback.read_bodies(session, numbers[first : first + _READ_BODIES])
        size += sum(map(len, read.values()))
        found.update(read)
    return found


def _drain_round(
    database: Database,
    store: ArtifactStore,
    model_id: int,
    waiting: Sequence[WaitingRows],
    now: datetime,
) -> Drained:
    parts = drain_rows(waiting)
    with database.reading() as session:
        raw = profiles.list_live_bins(session, model_id, versions_in(parts))
    hours = drain_profiles(parts, {name: Bins.from_bytes(body) for name, body in raw.items()})
    failpoint("drain_before_blob")
    blobs = [send_blob(store, io.BytesIO(part.segment.content)) for part in parts]
    failpoint("drain_after_blob")
    with database.writing() as session:
        written = _write_round(session, store, _Round(model_id, parts, blobs, hours, now))
        failpoint("drain_before_commit")
    failpoint("drain_after_commit")
    return written


def _write_round(session: WriteSession, store: ArtifactStore, work: _Round) -> Drained:
    """Write a round, or nothing if another drain was faster with any of its batches."""
    feedback.lock_model(session, work.model_id)
    ids = [batch for part in work.parts for batch in part.batches]
    if feedback.claim_batches(session, ids) < len(ids):
        return Drained()
    for part, blob in zip(work.parts, work.blobs, strict=True):
        segment = new_segment(work.model_id, part.segment, blob, work.now)
        keep_segment(session, store, segment, now=work.now)
        feedback.mark_drained(session, part.batches, blob.digest)
    added = {**work.hours, **_new_contracts(session, work)}
    for contract, hours in added.items():
        add_hours(session, work.model_id, contract, hours)
    starts = [hour.start for hours in added.values() for hour in hours]
    late_hours.note(session, work.model_id, starts, work.now)
    return Drained(len(ids), _rows(work.parts, "predictions"), _rows(work.parts, "labels"))


def _new_contracts(session: WriteSession, work: _Round) -> dict[str, list[HourProfile]]:
    """Return the hours under contracts that came to live while this round was made.

    Whoever profiles older rows of such a contract does it under the lock that is held here, so
    either sees this round's segment or is seen by it.
    """
    raw = profiles.list_live_bins(session, work.model_id, versions_in(work.parts))
    new = {name: Bins.from_bytes(body) for name, body in raw.items() if name not in work.hours}
    return drain_profiles(work.parts, new)


def _rows(parts: Sequence[DrainedRows], kind: Kind) -> int:
    return sum(part.segment.table.num_rows for part in parts if part.segment.kind == kind)


def _turn_ring(session: WriteSession) -> None:
    current = feedback.lock_current_slot(session)
    if current is None:
        return
    for step in range(1, feedback.SLOTS):
        slot = (current + step) % feedback.SLOTS
        if not feedback.is_slot_empty(session, slot):
            feedback.empty_slot(session, slot)
    following = (current + 1) % feedback.SLOTS
    if not feedback.is_slot_empty(session, current) and feedback.is_slot_empty(session, following):
        feedback.move_slot(session, following)
    failpoint("drain_in_ring")
