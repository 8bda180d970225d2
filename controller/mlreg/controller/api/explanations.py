"""Routes of explanations: ask for one, see one, list those of a model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.explanations import ExplainAnswer, ExplainRequest
from mlreg.controller.services import explaining
from mlreg.controller.services.explaining import Asked, Explained, ExplanationNotFoundError
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["explanations"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.post(
    "/models/{model}/explanations",
    status_code=202,
    response_model=ExplainAnswer,
    dependencies=[may("run.write")],
)
def request_explanation(
    model: str,
    body: ExplainRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for a window to be explained: worst slices, contributions, rows to look at."""
    if body.show:
        permit(caller, "data.read", model)

    def act() -> ExplainAnswer:
        asked = Asked(**{**body.model_dump(), "show": tuple(body.show)})
        found = catalog.get_model(session, model)
        number = explaining.request_explanation(session, found, asked, actor=caller, now=now)
        return answer_of(explaining.get_explanation(session, number), model, caller)

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/models/{model}/explanations", dependencies=[may("read")])
def list_explanations(
    model: str, reading: Reading, caller: Caller, before: Before = None, limit: Limit = 20
) -> Page[ExplainAnswer]:
    """List the explanations of a model, the newest first."""
    with reading() as session:
        found = explaining.list_explanations(
            session, catalog.get_model(session, model), before=before, limit=limit + 1
        )
    answers = [answer_of(one, model, caller) for one in found]
    return numbered_page(answers, limit, lambda one: one.number)


@router.get("/explanations/{number}", dependencies=[may("read")])
def show_explanation(number: Number, reading: Reading, caller: Caller) -> ExplainAnswer:
    """Show an explanation; its single rows only to who may read rows."""
    with reading() as session:
        found = explaining.get_explanation(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=ExplanationNotFoundError(number=number))
    return answer_of(found, model.name, caller)


def answer_of(found: Explained, model: str, caller: Actor) -> ExplainAnswer:
    """Return an explanation as a caller may see it."""
    return ExplainAnswer(
        number=found.number,
        model=model,
        environment=found.environment,
        state=found.state,
        error=found.error,
        asked_at=found.asked_at,
        found=explaining.as_seen(found.found, may_read_rows=caller.may("data.read", model)),
    )
