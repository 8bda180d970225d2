"""Routes of parity."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.parity import ParityAnswer, ParityFound, ParityRequest
from mlreg.controller.services import parity
from mlreg.controller.services.parity import Asked, ParityNotFoundError
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import get_model
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["parity"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.post(
    "/models/{model}/parities",
    status_code=202,
    response_model=ParityAnswer,
    dependencies=[may("run.write")],
)
def request_parity(
    model: str,
    body: ParityRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for logged predictions to be scored again, and compared."""

    def act() -> ParityAnswer:
        asked = Asked(**body.model_dump())
        number = parity.request_parity(
            session, get_model(session, model), asked, actor=caller, now=now
        )
        return answer_of(parity.get_parity(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/parities/{number}", dependencies=[may("read")])
def show_parity(number: Number, reading: Reading, caller: Caller) -> ParityAnswer:
    """Show what a replay found."""
    with reading() as session:
        found = parity.get_parity(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=ParityNotFoundError(number=number))
    return answer_of(found)


def answer_of(found: parity.Parity) -> ParityAnswer:
    """Return a replay as it is answered."""
    return ParityAnswer(
        number=found.number,
        state=found.state,
        error=found.error,
        found=None if found.found is None else ParityFound.model_validate(found.found),
    )
