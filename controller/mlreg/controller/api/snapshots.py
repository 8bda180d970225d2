"""Routes of snapshots: freeze, list, show, and export the joined rows."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from mlreg.client.wire.base import Page
from mlreg.client.wire.snapshots import (
    SnapshotAnswer,
    SnapshotInterval,
    SnapshotRequest,
    SourceAnswer,
    SourceFileAnswer,
)
from mlreg.controller.api.connections import Declared
from mlreg.controller.api.exporting import Form, pieces_of, write_rows
from mlreg.controller.domain.snapshots import asked_range
from mlreg.controller.domain.sources import FrozenSource
from mlreg.controller.feedback.bodies import ARROW, CSV, PARQUET
from mlreg.controller.services import snapshots
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.snapshot_rows import iterate_rows, read_rows
from mlreg.controller.services.snapshots import Snapshot, SnapshotNotFoundError
from mlreg.controller.services.sourcing import SourceParts
from mlreg.registry.api.context import Caller, Now, Parts, Reading
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import get_model

router = APIRouter(tags=["snapshots"])
Behind = Annotated[
    str | None,
    Query(max_length=100, description="`next` of the page before; none is the first."),
]
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
def list_snapshots(
    model: str, reading: Reading, before: Behind = None, limit: Limit = 100
) -> Page[SnapshotAnswer]:
    """List the snapshots of a model, the newest first."""
    with reading() as session:
        found = snapshots.list_snapshots(
            session, get_model(session, model), before=before, limit=limit + 1
        )
    answers = [answer_of(snapshot, files=False) for snapshot in found]
    return numbered_page(answers, limit, lambda one: one.digest)


@router.get("/snapshots/{digest}", dependencies=[may("read")])
def show_snapshot(digest: str, reading: Reading, caller: Caller) -> SnapshotAnswer:
    """Show what a snapshot selects."""
    with reading() as session:
        found = snapshots.get_snapshot(session, digest)
    permit(caller, "read", found.body.model, unseen=SnapshotNotFoundError(digest=digest))
    return answer_of(found)


@router.get("/snapshots/{digest}/rows", response_class=Response, dependencies=[may("data.read")])
def export_snapshot(
    digest: str, parts: Parts, caller: Caller, declared: Declared, form: Form = "parquet"
) -> Response:
    """Send the rows of a snapshot; those of a source in the order of its files."""
    with parts.database.reading() as session:
        name = snapshots.get_snapshot(session, digest).body.model
        permit(caller, "data.read", name, unseen=SnapshotNotFoundError(digest=digest))
        body = snapshots.get_exportable(session, digest).body
        model = get_model(session, name)
    sources = SourceParts(parts.database, parts.store, declared)
    tables = iterate_rows(sources, model, body)
    first = next(tables, None)
    if first is None:
        first = read_rows(sources, model, body)
    file = write_rows(chain([first], tables), first.schema.remove_metadata(), form)
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(pieces_of(file), headers=headers, media_type=TYPES[form])


def answer_of(snapshot: Snapshot, *, files: bool = True) -> SnapshotAnswer:
    """Return a snapshot as it is answered, with or without each file of its source."""
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
        source=None if body.source is None else _source_of(body.source, files=files),
        created_at=snapshot.created_at,
        created_by=snapshot.created_by,
    )


def _source_of(source: FrozenSource, *, files: bool) -> SourceAnswer:
    listed = source.files if files else ()
    return SourceAnswer(
        kind=source.kind,
        name=source.name,
        connection=source.connection,
        version=source.version,
        columns=source.columns.by_target,
        timezone=source.columns.timezone,
        file_count=len(source.files),
        rows=source.rows,
        size=source.size,
        files=[SourceFileAnswer.model_validate(file.to_json()) for file in listed],
    )
