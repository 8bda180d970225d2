"""Snapshots: freeze a selection of the feedback log, find one, read the joined rows of the log.

What always holds: a snapshot refers to its segments, so none of them is ever swept away under it;
freezing the same selection again gives the same snapshot. What still waits for the drain is not in
it: drain first. Snapshots of sources are made in `sourcing.py`; the rows of any are read by
`snapshot_rows.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.batches import BATCH, ROW
from mlreg.controller.domain.snapshots import (
    InvalidSnapshotError,
    SnapshotBody,
    asked_range,
    clipped,
)
from mlreg.controller.feedback.joins import (
    LABEL_COLUMNS,
    LABEL_TIME,
    PREDICTION_COLUMNS,
    JoinCounts,
    chosen_columns,
    counts_of,
    join_rows,
)
from mlreg.controller.feedback.segments import read_segments
from mlreg.controller.services.losses import check_whole
from mlreg.controller.store import snapshots
from mlreg.controller.store.feedback import count_rows, hold_model, list_segments
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import id_of, target_contract_of
from mlreg.registry.store.blobs import refer_to_blobs
from mlreg.registry.store.lineage import add_edges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.store.tables import Snapshot as SnapshotRow
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

__all__ = [
    "JoinCounts",
    "Snapshot",
    "SnapshotNotFoundError",
    "SnapshotTooLargeError",
    "counts_of",
    "find_times",
    "freeze",
    "get_exportable",
    "get_snapshot",
    "keep",
    "list_snapshots",
    "needed_columns",
    "read_snapshot",
    "select",
]

SNAPSHOT = "snapshot"
MAX_EXPORT_ROWS = 2_000_000


class SnapshotNotFoundError(NotFoundError):
    """There is no snapshot of that digest."""

    code = "snapshot_not_found"

    def __init__(self, *, digest: str) -> None:
        super().__init__(f"no snapshot {digest[:80]}")


class SnapshotTooLargeError(RefusedError):
    """The segments of a snapshot hold more rows than one answer can."""

    code = "snapshot_too_large"
    hint = "Export shorter ranges, one after the other."

    def __init__(self, *, rows: int) -> None:
        super().__init__(f"its segments hold {rows:,} predictions, {MAX_EXPORT_ROWS:,} is the most")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen selection: its name, what it selects, and who froze it when."""

    digest: str
    body: SnapshotBody
    created_at: datetime
    created_by: str


def freeze(  # noqa: PLR0913 - each of them is part of the snapshot's name
    session: WriteSession,
    model: Model,
    *,
    start: datetime,
    end: datetime,
    labels_until: datetime,
    exclude: Sequence[Interval] = (),
    feature_contract: str | None = None,
    actor: Actor,
    now: datetime,
) -> Snapshot:
    """Freeze the predictions of `start ≤ time < end` with the labels known until then.

    Raises:
        InvalidSnapshotError: the times are out of order or have no zone.
    """
    span = asked_range(start, end)
    hold_model(session, id_of(model))  # lest a segment be erased between the look and the claim
    if labels_until.tzinfo is None:
        raise InvalidSnapshotError(problem="labels_until needs a zone, as 2013-07-01T00:00:00Z")
    body = select(
        session, model, span, labels_until, exclude=exclude, feature_contract=feature_contract
    )
    return keep(session, model, body, actor=actor, now=now)


def keep(
    session: WriteSession, model: Model, body: SnapshotBody, *, actor: Actor, now: datetime
) -> Snapshot:
    """Write a snapshot down; the rows of its blobs are there already."""
    row = snapshots.keep_snapshot(
        session, id_of(model), body, created_at=now, created_by=actor.name
    )
    refer_to_blobs(session, body.blobs, SNAPSHOT, body.digest)
    made_of = [("segment", digest) for digest in body.segments]
    said: dict[str, object] = {}
    if body.source is not None:
        made_of, said = [("source", body.source.place)], {"source": body.source.name}
    add_edges(session, made_of, (SNAPSHOT, body.digest), now, model_id=row.model_id)
    times = {"start": body.range.start.isoformat(), "end": body.range.end.isoformat()}
    audit.record(
        session,
        action="snapshot.freeze",
        subject=f"snapshot:{body.digest}",
        actor=actor,
        body={"model": model.name, **times, **said},
        now=now,
    )
    return _snapshot(row)


def select(
    session: ReadSession,
    model: Model,
    span: Interval,
    labels_until: datetime,
    *,
    exclude: Sequence[Interval] = (),
    feature_contract: str | None = None,
) -> SnapshotBody:
    """Select the predictions of a range with the labels known until then, freezing nothing."""
    delay = timedelta(seconds=target_contract_of(model).max_label_delay_seconds)
    latest = min(labels_until, span.end + delay)
    predictions = list_segments(session, id_of(model), "predictions", span.start, span.end)
    labels = list_segments(session, id_of(model), "labels", span.start, latest)
    return SnapshotBody(
        model=model.name,
        predictions=tuple(one.digest for one in predictions if one.start < span.end),
        labels=tuple(segment.digest for segment in labels),
        range=span,
        labels_until=labels_until,
        max_label_delay=delay,
        excluded=clipped(exclude, span),
        feature_contract=feature_contract,
    )


def get_snapshot(session: ReadSession, digest: str) -> Snapshot:
    """Return a snapshot by its name.

    Raises:
        SnapshotNotFoundError: there is none.
    """
    row = snapshots.find_snapshot(session, digest)
    if row is None:
        raise SnapshotNotFoundError(digest=digest)
    return _snapshot(row)


def get_exportable(session: ReadSession, digest: str) -> Snapshot:
    """Return a snapshot that is small enough to be sent in one piece.

    Raises:
        SnapshotNotFoundError: there is none.
        SnapshotTooLargeError: its segments have more than two million predictions.
        SnapshotLostError: rows of it were erased or have expired.
    """
    snapshot = get_snapshot(session, digest)
    check_whole(session, snapshot.body)
    rows = count_rows(session, snapshot.body.predictions)
    if rows > MAX_EXPORT_ROWS:
        raise SnapshotTooLargeError(rows=rows)
    return snapshot


def list_snapshots(
    session: ReadSession, model: Model, *, before: str | None = None, limit: int
) -> list[Snapshot]:
    """Return snapshots of a model, the newest first, behind that of a digest where one is given.

    Raises:
        SnapshotNotFoundError: the model has none of that digest.
    """
    last = None if before is None else snapshots.find_snapshot(session, before)
    if before is not None and (last is None or last.model_id != model.id):
        raise SnapshotNotFoundError(digest=before)
    found = snapshots.list_snapshots(session, id_of(model), last, limit)
    return [_snapshot(row) for row in found]


def read_snapshot(
    store: ArtifactStore,
    body: SnapshotBody | Mapping[str, object],
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the joined rows of a snapshot, by (time, prediction id).

    Args:
        store: where the segments are.
        body: what the snapshot selects, as a value or as its JSON.
        columns: what is wanted; None is all: prediction_id, time, version, score, label (null
            where there is none), weight, entity, features; where they were sent, scores, arm and
            propensity. `counts_of` tells what the join met.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: a segment cannot be had.
        KeyError: a wanted column is in no segment.
    """
    if not isinstance(body, SnapshotBody):
        body = SnapshotBody.from_json(body)
    needed = None if columns is None else needed_columns(columns)
    predictions = read_segments(store, body.predictions, needed, body.range)
    labels = read_segments(store, body.labels, LABEL_COLUMNS, body.label_range)
    return chosen_columns(join_rows(predictions, labels, body), columns)


def needed_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns of prediction segments that the wanted ones, the join and order need."""
    own = [name for name in PREDICTION_COLUMNS if name in columns]
    joined = {*PREDICTION_COLUMNS, *LABEL_COLUMNS, LABEL_TIME}
    features = [name for name in columns if name not in joined]
    return list(dict.fromkeys(["prediction_id", "time", *own, *features, BATCH, ROW]))


def _snapshot(row: SnapshotRow) -> Snapshot:
    body = SnapshotBody.from_json(json.loads(row.body))
    return Snapshot(row.digest, body, row.created_at, row.created_by)


def find_times(
    session: ReadSession, digests: Sequence[str]
) -> Mapping[str, tuple[datetime, datetime]]:
    """Return the times of the rows of those digests that are snapshots here."""
    return {row.digest: (row.start, row.end) for row in snapshots.find_all(session, digests)}
