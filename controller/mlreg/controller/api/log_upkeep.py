"""Routes of what leaves the feedback log for good: retention and erasures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.log_upkeep import (
    ErasureAnswer,
    ErasureReport,
    ErasureRequest,
    RetentionAnswer,
    RetentionRequest,
)
from mlreg.controller.services import erasing, retention
from mlreg.controller.store import log_upkeep
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.tables import Erasure
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import get_model, id_of
from mlreg.registry.store.database import ReadSession
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["feedback log"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/models/{model}/log/retention", dependencies=[may("read")])
def show_retention(model: str, reading: Reading) -> RetentionAnswer:
    """Show how long a model's logged rows are kept."""
    with reading() as session:
        return _retention(session, get_model(session, model))


@router.post(
    "/models/{model}/log/retention",
    response_model=RetentionAnswer,
    dependencies=[may("log.erase")],
)
def set_retention(
    model: str,
    body: RetentionRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Say how long a model's logged rows are kept; what is older goes within the hour."""

    def act() -> RetentionAnswer:
        found = get_model(session, model)
        retention.set_retention(session, found, body.days, actor=caller, now=now)
        return _retention(session, found)

    with writing() as session:
        return once.run(session, now, act)


@router.post(
    "/models/{model}/log/erasures",
    status_code=202,
    response_model=ErasureAnswer,
    dependencies=[may("log.erase")],
)
def erase(
    model: str,
    body: ErasureRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for every row about an entity to be taken out of a model's log, with its labels."""

    def act() -> ErasureAnswer:
        found = get_model(session, model)
        asked = erasing.request_erasure(
            session, found, body.entity, body.reason, actor=caller, now=now
        )
        return _erasure(session, found, asked)

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/models/{model}/log/erasures", dependencies=[may("read")])
def list_erasures(
    model: str, reading: Reading, before: Before = None, limit: Limit = 100
) -> Page[ErasureAnswer]:
    """List the erasures of a model, the newest first."""
    with reading() as session:
        found = get_model(session, model)
        rows = log_upkeep.list_erasures(session, id_of(found), before, limit + 1)
        answers = [_erasure(session, found, row) for row in rows]
    return numbered_page(answers, limit, lambda one: one.number)


@router.get("/erasures/{number}", dependencies=[may("read")])
def show_erasure(number: Number, reading: Reading, caller: Caller) -> ErasureAnswer:
    """Show how far an erasure is."""
    with reading() as session:
        row = erasing.get_erasure(session, number)
        found = model_of(session, row.model_id)
        unseen = erasing.ErasureNotFoundError(number=number)
        permit(caller, "read", found.name, unseen=unseen)
        return _erasure(session, found, row)


def _retention(session: ReadSession, model: Model) -> RetentionAnswer:
    row = log_upkeep.find_retention(session, id_of(model))
    if row is None:
        return RetentionAnswer(model=model.name, days=None)
    return RetentionAnswer(model=model.name, days=row.days, set_at=row.set_at, set_by=row.set_by)


def _erasure(session: ReadSession, model: Model, row: Erasure) -> ErasureAnswer:
    state, error = erasing.state_of(session, row)
    return ErasureAnswer(
        number=row.id or 0,
        model=model.name,
        entity_digest=row.entity_digest,
        reason=row.reason,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        ended_at=row.ended_at,
        predictions=row.predictions,
        labels=row.labels,
        state=state,
        error=error,
        report=None if row.report is None else ErasureReport.model_validate(row.report),
    )
