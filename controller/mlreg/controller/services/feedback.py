"""The feedback log's door: a batch of predictions or labels is checked, then kept in one write."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.controller.domain.batches import (
    Accepted,
    BatchConflictError,
    Kind,
    checked_batch_id,
)
from mlreg.controller.feedback.bodies import read_rows
from mlreg.controller.feedback.rows import checked_rows, rules_of
from mlreg.controller.feedback.schemas import batch_schema
from mlreg.controller.store import feedback
from mlreg.registry.domain.digests import digest_of

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A batch that may be kept.

    Attributes:
        batch_id: the key; where none was given, the digest.
        digest: of the bytes as they were sent.
        stream: the checked rows as an Arrow stream.
    """

    kind: Kind
    batch_id: str
    digest: str
    rows: int
    stream: bytes


def accept(
    session: WriteSession,
    model: Model,
    kind: Kind,
    batch_id: str | None,
    rows: pa.Table,
    *,
    now: datetime,
) -> Accepted:
    """Check a table of rows and keep it; equal rows under an id that is taken add nothing.

    Raises:
        InvalidRowsError: the rows break a rule; names column and row; nothing is kept.
        BatchConflictError: the batch id is taken by other rows.
    """
    batch = check_table(model, kind, batch_id, rows, now=now)
    return keep(session, model, batch, now=now)


def check_body(
    model: Model, kind: Kind, batch_id: str | None, body: bytes, content_type: str, *, now: datetime
) -> CheckedBatch:
    """Read and check a body; needs no session, for it may take a while.

    Raises:
        UnknownContentTypeError, UnreadableBodyError: the bytes cannot be read as rows.
        InvalidRowsError: the rows break a rule; names column and row.
        InvalidBatchIdError: the batch id is no plain name.
    """
    schema = batch_schema(model, kind)
    rows = read_rows(body, content_type, schema)
    checked = checked_rows(rows.table, rules_of(model, schema, now))
    digest = digest_of(body)
    return _batch(kind, batch_id or rows.batch_id, digest, checked)


def check_table(
    model: Model, kind: Kind, batch_id: str | None, rows: pa.Table, *, now: datetime
) -> CheckedBatch:
    """Check a table, as `check_body`; its digest is that of its Arrow stream."""
    schema = batch_schema(model, kind)
    checked = checked_rows(rows, rules_of(model, schema, now))
    return _batch(kind, batch_id, None, checked)


def keep(session: WriteSession, model: Model, batch: CheckedBatch, *, now: datetime) -> Accepted:
    """Keep a checked batch: one statement, durable when the session commits.

    Raises:
        BatchConflictError: the batch id is taken by other bytes.
    """
    assert model.id is not None  # noqa: S101 - a stored model
    row = {
        "model_id": model.id,
        "kind": batch.kind,
        "batch_id": batch.batch_id,
        "digest": batch.digest,
        "rows": batch.rows,
        "received_at": now,
    }
    if feedback.insert_batch(session, row, batch.stream):
        return Accepted(batch.batch_id, batch.rows, duplicate=False)
    known = feedback.get_batch(session, model.id, batch.kind, batch.batch_id)
    if known.digest != batch.digest:
        raise BatchConflictError(kind=batch.kind, batch_id=batch.batch_id)
    return Accepted(batch.batch_id, known.rows, duplicate=True)


def _batch(kind: Kind, batch_id: str | None, digest: str | None, rows: pa.Table) -> CheckedBatch:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    content = stream.getvalue()
    digest = digest or digest_of(content)
    return CheckedBatch(kind, checked_batch_id(batch_id or digest), digest, rows.num_rows, content)
