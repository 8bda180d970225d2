"""Routes of snapshots: freeze, list, show, and export the joined rows."""

from __future__ import annotations

import io
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Response
from pyarrow import csv, parquet

from mlreg.client.wire.base import Page
from mlreg.client.wire.snapshots import SnapshotAnswer, SnapshotInterval, SnapshotRequest
from mlreg.controller.domain.snapshots import asked_range
from mlreg.controller.feedback.bodies import ARROW, CSV, PARQUET
from mlreg.controller.services import snapshots
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.snapshots import Snapshot, SnapshotNotFoundError
from mlreg.registry.api.context import Caller, Now, Parts, Reading, Store
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.domain.pages import MAX_PAGE
from mlreg.registry.services.catalog import get_model

router = APIRouter(tags=["snapshots"])
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Form = Literal["parquet", "csv", "arrow"]
TYPES: dict[Form, str] = {"parquet": PARQUET, "csv": CSV, "arrow": ARROW}


@router.post(
    "/models/{model}/snapshots",
    status_code=201,
    response_model=SnapshotAnswer,
    dependencies=[may("snapshot.write")],
)
def create_snapshot(
    model: str, body: SnapshotRequest, parts: Parts, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Drain what waits, and freeze the selection."""
    with parts.database.reading() as session:
        found = get_model(session, model)
    assert found.id is not None  # noqa: S101 - a stored model
    drain_model(parts.database, parts.store, found.id, now=now)
    with parts.database.writing() as session:
        return once.run(
            session,
            now,
            lambda: answer_of(
                snapshots.freeze(
                    session,
                    found,
                    start=body.start,
                    end=body.end,
                    labels_until=body.labels_until or now,
                    exclude=[asked_range(item.start, item.end) for item in body.exclude],
                    feature_contract=body.feature_contract,
                    actor=caller,
                    now=now,
                )
            ),
            status=201,
        )


@router.get("/models/{model}/snapshots", dependencies=[may("read")])
def list_snapshots(model: str, reading: Reading, limit: Limit = 100) -> Page[SnapshotAnswer]:
    """List the newest snapshots of a model."""
    with reading() as session:
        found = snapshots.list_snapshots(session, get_model(session, model), limit)
    return Page(items=[answer_of(snapshot) for snapshot in found])


@router.get("/snapshots/{digest}", dependencies=[may("read")])
def show_snapshot(digest: str, reading: Reading, caller: Caller) -> SnapshotAnswer:
    """Show what a snapshot selects."""
    with reading() as session:
        found = snapshots.get_snapshot(session, digest)
    permit(caller, "read", found.body.model, unseen=SnapshotNotFoundError(digest=digest))
    return answer_of(found)


@router.get("/snapshots/{digest}/rows", response_class=Response, dependencies=[may("data.read")])
def export_snapshot(
    digest: str, reading: Reading, store: Store, caller: Caller, form: Form = "parquet"
) -> Response:
    """Send the joined rows of a snapshot."""
    with reading() as session:
        model = snapshots.get_snapshot(session, digest).body.model
        permit(caller, "data.read", model, unseen=SnapshotNotFoundError(digest=digest))
        snapshot = snapshots.get_exportable(session, digest)
    rows = snapshots.read_snapshot(store, snapshot.body)
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return Response(_content(rows, form), headers=headers, media_type=TYPES[form])


def answer_of(snapshot: Snapshot) -> SnapshotAnswer:
    """Return a snapshot as it is answered."""
    body = snapshot.body
    return SnapshotAnswer(
        digest=snapshot.digest,
        model=body.model,
        start=body.range.start,
        end=body.range.end,
        labels_until=body.labels_until,
        max_label_delay_seconds=int(body.max_label_delay.total_seconds()),
        excluded=[SnapshotInterval(start=i.start, end=i.end) for i in body.excluded],
        predictions=list(body.predictions),
        labels=list(body.labels),
        feature_contract=body.feature_contract,
        created_at=snapshot.created_at,
        created_by=snapshot.created_by,
    )


def _content(rows: pa.Table, form: Form) -> bytes:
    buffer = io.BytesIO()
    if form == "parquet":
        parquet.write_table(rows, buffer, compression="zstd")
    elif form == "csv":
        csv.write_csv(rows, buffer)
    else:
        with pa.ipc.new_stream(buffer, rows.schema) as stream:
            stream.write_table(rows)
    return buffer.getvalue()
