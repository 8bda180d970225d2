"""Routes of freezes: have a source frozen by a worker, and see what became of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.snapshots import FreezeAnswer, FreezeRequest
from mlreg.controller.api.connections import Declared
from mlreg.controller.domain.snapshots import asked_range
from mlreg.controller.services import freezing
from mlreg.controller.services.freezing import Freeze, FreezeNotFoundError
from mlreg.controller.services.sourcing import check_source
from mlreg.registry.api.context import Caller, Reading, SharedNow, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services import catalog

router = APIRouter(tags=["snapshots"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.post(
    "/models/{model}/freezes",
    status_code=202,
    response_model=FreezeAnswer,
    dependencies=[may("snapshot.write")],
)
def request_freeze(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    body: FreezeRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
    declared: Declared,
) -> Response:
    """Ask for a snapshot of a source; naming one needs what writing a policy needs."""
    span = asked_range(body.start, body.end)
    excluded = [asked_range(one.start, one.end) for one in body.exclude]
    if body.data is not None:
        permit(caller, "policy.write", model)

    def act() -> FreezeAnswer:
        found = catalog.get_model(session, model)
        data = (
            freezing.rule_of_policy(session, found, body.environment)
            if body.data is None
            else freezing.read_rule(body.data.model_dump(exclude_none=True))
        )
        check_source(declared, found, data)
        request = freezing.FreezeRequest(found, data, span, excluded)
        number = freezing.request_freeze(session, request, actor=caller, now=now)
        return answer_of(freezing.get_freeze(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/freezes/{number}", dependencies=[may("read")])
def show_freeze(number: Number, reading: Reading, caller: Caller) -> FreezeAnswer:
    """Show how far a freeze is, or which snapshot it made."""
    with reading() as session:
        found = freezing.get_freeze(session, number)
    permit(caller, "read", found.model, unseen=FreezeNotFoundError(number=number))
    return answer_of(found)


def answer_of(found: Freeze) -> FreezeAnswer:
    """Return a freeze as it is answered."""
    return FreezeAnswer(
        number=found.number,
        model=found.model,
        state=found.state,
        error=found.error,
        snapshot=found.snapshot,
    )
