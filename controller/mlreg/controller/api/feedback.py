"""Routes of the feedback log: batches of predictions and labels, in five forms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from mlreg.client.wire.feedback import BatchAnswer, LabelBatch, PredictionBatch
from mlreg.controller.api.log_parts import Models
from mlreg.controller.domain.batches import MAX_BODY_BYTES, Kind
from mlreg.controller.feedback.bodies import ARROW, FILES, JSON
from mlreg.controller.services import feedback
from mlreg.controller.services.known_models import KnownModels
from mlreg.registry.api.context import Now, Writing
from mlreg.registry.api.limits import BodyTooLargeError
from mlreg.registry.api.permission import may
from mlreg.registry.store.database import WriteSession
from mlreg.registry.store.tables import Model

router = APIRouter(prefix="/models", tags=["feedback log"])
BatchId = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, read whole."""

    content: bytes
    content_type: str


async def body_of(request: Request) -> Body:
    """Read a body of at most 64 MiB.

    Raises:
        BodyTooLargeError: it is larger.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError(limit=MAX_BODY_BYTES)
        pieces.append(piece)
    return Body(b"".join(pieces), request.headers.get("content-type", JSON))


RawBody = Annotated[Body, Depends(body_of)]


def _forms(batch: type[BaseModel]) -> dict[str, Any]:
    """Return the request body as OpenAPI shows it."""
    schema = batch.model_json_schema()
    content: dict[str, Any] = {JSON: {"schema": _inlined(schema, schema.get("$defs", {}))}}
    content.update({kind: {} for kind in (ARROW, *FILES)})
    return {"requestBody": {"required": True, "content": content}}


def _inlined(form: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON schema
    """Return a JSON schema with its references replaced by what they name."""
    if isinstance(form, list):
        return [_inlined(item, parts) for item in form]
    if not isinstance(form, dict):
        return form
    if "$ref" in form:
        return _inlined(parts[form["$ref"].rsplit("/", 1)[-1]], parts)
    return {key: _inlined(value, parts) for key, value in form.items() if key != "$defs"}


@router.post(
    "/{model}/predictions", openapi_extra=_forms(PredictionBatch), dependencies=[may("log.write")]
)
def log_predictions(
    model: str,
    body: RawBody,
    models: Models,
    writing: Writing,
    now: Now,
    batch_id: BatchId = None,
) -> BatchAnswer:
    """Keep a batch of predictions, once per batch id."""
    return _log(_Doors(models, writing, now), model, "predictions", batch_id, body)


@router.post("/{model}/labels", openapi_extra=_forms(LabelBatch), dependencies=[may("log.write")])
def log_labels(
    model: str,
    body: RawBody,
    models: Models,
    writing: Writing,
    now: Now,
    batch_id: BatchId = None,
) -> BatchAnswer:
    """Keep a batch of labels, once per batch id."""
    return _log(_Doors(models, writing, now), model, "labels", batch_id, body)


@dataclass(frozen=True, slots=True)
class _Doors:
    models: KnownModels
    writing: Callable[[], AbstractContextManager[WriteSession]]
    now: datetime


def _log(doors: _Doors, name: str, kind: Kind, batch_id: str | None, body: Body) -> BatchAnswer:
    """Check outside of any transaction, then keep in one short one."""

    def check(model: Model) -> feedback.CheckedBatch:
        content, content_type = body.content, body.content_type
        return feedback.check_body(model, kind, batch_id, content, content_type, now=doors.now)

    model, batch = doors.models.judge(name, check)
    with doors.writing() as session:
        accepted = feedback.keep(session, model, batch, now=doors.now)
    return BatchAnswer(batch_id=accepted.batch_id, rows=accepted.rows, duplicate=accepted.duplicate)
