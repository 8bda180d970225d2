"""Compaction: many small segments become one, so that reading a season does not open every minute.

Where rows are kept for some days only, segments are merged with their neighbours alone: a segment
goes as a whole, so one that grows for ever would take its oldest rows along for ever.

What always holds: the rows, and when each arrived, stay as they were; the new segment takes the
place of the old ones in one transaction, or not at all if any of them is gone by then. Snapshots
that were frozen before go on reading the old segments, which they refer to; those that nobody
refers to are left for the sweep.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from mlreg.controller.feedback.drain import MAX_ROUND_ROWS
from mlreg.controller.feedback.segments import NewSegment, make_segment, read_segments
from mlreg.controller.store import feedback, log_upkeep
from mlreg.controller.store.tables import Segment
from mlreg.registry.services.uploads import BlobFile, keep_blob, send_blob
from mlreg.registry.store.blobs import refer_to_blobs
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.lineage import add_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.batches import Kind
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import Database, WriteSession

SMALL_ROWS = 65_536
FEW_SEGMENTS = 32
SEGMENT = "segment"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def compact_model(database: Database, store: ArtifactStore, model_id: int, *, now: datetime) -> int:
    """Merge the small segments of a model where there are many; return how many were replaced.

    Raises:
        StorageFullError, StoreUnreachableError, BlobCorruptError: nothing was replaced.
    """
    kinds: tuple[Kind, ...] = ("predictions", "labels")
    return sum(_compact(database, store, model_id, kind, now) for kind in kinds)


def new_segment(model_id: int, segment: NewSegment, blob: BlobFile, now: datetime) -> Segment:
    """Return the row of a segment whose blob is stored."""
    return Segment(
        digest=blob.digest,
        model_id=model_id,
        kind=segment.kind,
        rows=segment.table.num_rows,
        size=blob.size,
        start=segment.start,
        end=segment.end,
        created_at=now,
    )


def keep_segment(
    session: WriteSession, store: ArtifactStore, segment: Segment, *, now: datetime
) -> None:
    """Write a segment's row, and that it needs its blob."""
    keep_blob(session, store, BlobFile(segment.digest, segment.size), now=now)
    feedback.insert_segment(session, segment)
    refer_to_blobs(session, [segment.digest], SEGMENT, str(segment.model_id))


def _compact(
    database: Database, store: ArtifactStore, model_id: int, kind: Kind, now: datetime
) -> int:
    with database.reading() as session:
        kept = log_upkeep.find_retention(session, model_id)
        found = feedback.list_small(session, model_id, kind, SMALL_ROWS)
        small = _first_rows(found if kept is None else _neighbours(found, _width(kept.days)))
    if len(small) < FEW_SEGMENTS:
        return 0
    merged = make_segment(kind, read_segments(store, small, None))
    failpoint("compact_before_blob")
    blob = send_blob(store, io.BytesIO(merged.content))
    with database.writing() as session:
        feedback.lock_model(session, model_id)
        if feedback.claim_segments(session, small) < len(small):
            return 0
        feedback.remove_segments(session, small, str(model_id))
        keep_segment(session, store, new_segment(model_id, merged, blob, now), now=now)
        sources = [(SEGMENT, digest) for digest in small]
        add_edges(session, sources, (SEGMENT, blob.digest), now, model_id=model_id)
        failpoint("compact_before_commit")
    return len(small)


def _width(days: int) -> timedelta:
    """Return within which time segments may begin that are merged, if rows are kept for so long."""
    return max(timedelta(hours=12), timedelta(days=days) / 20)


def _neighbours(segments: Sequence[Segment], width: timedelta) -> list[Segment]:
    """Return the first segments that begin within a time of each other, if they are not few.

    Whatever is merged spans no more than twice that time; segments that span more alone are left.
    """
    short = [one for one in segments if one.end - one.start <= width]
    for _, group in groupby(short, lambda one: (one.start - EPOCH) // width):
        near = list(group)
        if len(near) >= FEW_SEGMENTS:
            return near
    return []


def _first_rows(segments: Sequence[Segment]) -> list[str]:
    """Return the first of these segments, as many as make one."""
    chosen, rows = [], 0
    for segment in segments:
        rows += segment.rows
        if rows > MAX_ROUND_ROWS:
            break
        chosen.append(segment.digest)
    return chosen
