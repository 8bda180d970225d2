"""Routes of what proves the audit log: the newest checkpoint, and the log as a file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from mlreg.client.wire.audit import CheckpointAnswer
from mlreg.registry.api.context import Reading
from mlreg.registry.api.permission import may
from mlreg.registry.domain.checkpoints import Held
from mlreg.registry.domain.errors import InvalidError, NotFoundError
from mlreg.registry.services import checkpoints
from mlreg.registry.services.audit_export import Format, export, find_span

router = APIRouter(prefix="/audit", tags=["audit"])
HEADER = "Mlreg-Checkpoint"
ENTRIES_HEADER = "Mlreg-Entries"
ROOT_BYTES = 32
MAX_SIZE = 2**63
_TYPES: Mapping[str, str] = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


class NoCheckpointError(NotFoundError):
    """Nothing was signed yet."""

    code = "checkpoint_not_found"
    hint = "A worker signs one each minute, when it has a key: see docs/reference/settings.md."

    def __init__(self) -> None:
        super().__init__("there is no checkpoint of the audit log yet")


class InvalidHeldError(InvalidError):
    """What was held against the log is not `size:root`."""

    code = "invalid_checkpoint"

    def __init__(self) -> None:
        super().__init__("a checkpoint is held against the log as size:root, the root in hex")


@router.get("/checkpoint", dependencies=[may("audit.read")])
def get_checkpoint(reading: Reading) -> CheckpointAnswer:
    """Return the newest signed checkpoint."""
    with reading() as session:
        newest = checkpoints.find_newest(session)
    if newest is None:
        raise NoCheckpointError
    return CheckpointAnswer.model_validate(newest, from_attributes=True)


@router.get(
    "/export",
    response_class=StreamingResponse,
    dependencies=[may("audit.read")],
    responses={200: {"content": {kind.partition(";")[0]: {} for kind in _TYPES.values()}}},
)
def export_entries(
    reading: Reading,
    form: Annotated[Format, Query(alias="format")] = "jsonl",
    since: datetime | None = None,
    until: datetime | None = None,
) -> StreamingResponse:
    """Stream entries, oldest first, then the head and the newest checkpoint."""
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise InvalidError("a moment needs its zone, as in 2026-03-01T00:00:00Z")
    with reading() as session:
        span = find_span(session, since, until)
    return StreamingResponse(
        export(reading, span, form),
        media_type=_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="audit.{form}"',
            ENTRIES_HEADER: str(span.entries),
        },
    )


def parse_held(written: str) -> list[Held]:
    """Read `size:root,size:root`, roots in hex.

    Raises:
        InvalidHeldError: it is something else.
    """
    return [_parse_one(one) for one in written.split(",") if one]


def checkpoint_header(note: str | None) -> dict[str, str]:
    """Return the header by which every change of a deployment makes its client a witness."""
    return {} if note is None else {HEADER: base64.b64encode(note.encode()).decode()}


def _parse_one(written: str) -> Held:
    size, _, root = written.partition(":")
    try:
        held = Held(int(size), bytes.fromhex(root))
    except ValueError as error:
        raise InvalidHeldError from error
    if not 0 <= held.size < MAX_SIZE or len(held.root) != ROOT_BYTES:
        raise InvalidHeldError
    return held
