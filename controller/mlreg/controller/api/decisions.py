"""Routes of evaluations and decisions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.decisions import DecisionAnswer, EvaluateRequest, EvaluationAnswer
from mlreg.controller.services import decisions, evaluations, retraining
from mlreg.controller.services.decisions import DecisionNotFoundError
from mlreg.controller.services.evaluations import Evaluation, EvaluationNotFoundError
from mlreg.controller.services.retraining import Options
from mlreg.registry.api.context import Caller, Reading, SharedNow, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.domain.pages import MAX_PAGE, page_of
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Decision, Model

router = APIRouter(tags=["decisions"])
Number = Annotated[int, Path(ge=1, lt=2**63)]
VersionNumber = Annotated[int, Path(ge=1, lt=2**31)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[int | None, Query(ge=1, lt=2**63)]


@router.post(
    "/models/{model}/versions/{version}/evaluations",
    status_code=202,
    response_model=EvaluationAnswer,
    dependencies=[may("run.write")],
)
def request_evaluation(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    version: VersionNumber,
    body: EvaluateRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
) -> Response:
    """Ask for a version to be judged against the champion."""
    said = body.model_dump(exclude_none=True, exclude={"environment"})

    def act() -> EvaluationAnswer:
        place = retraining.find_place(session, model, body.environment)
        number = retraining.request_judgement(
            session, place, version, Options(data=said), actor=caller, now=now
        )
        return evaluation_answer(evaluations.get_evaluation(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/evaluations/{number}", dependencies=[may("read")])
def show_evaluation(number: Number, reading: Reading, caller: Caller) -> EvaluationAnswer:
    """Show an evaluation."""
    with reading() as session:
        found = evaluations.get_evaluation(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=EvaluationNotFoundError(number=number))
    return evaluation_answer(found)


@router.get("/decisions/{number}", dependencies=[may("read")])
def show_decision(number: Number, reading: Reading, caller: Caller) -> DecisionAnswer:
    """Show a decision with all its evidence."""
    with reading() as session:
        decision = decisions.get_decision(session, number)
        model = session.get_one(Model, decision.model_id)
    permit(caller, "read", model.name, unseen=DecisionNotFoundError(number=number))
    return answer_of(decision, model.name)


@router.get("/models/{model}/decisions", dependencies=[may("read")])
def list_decisions(
    model: str, reading: Reading, before: Cursor = None, limit: Limit = 100
) -> Page[DecisionAnswer]:
    """List a model's decisions, newest first, without their evidence."""
    with reading() as session:
        found = decisions.list_decisions(
            session, catalog.get_model(session, model), before=before, limit=limit + 1
        )
    answers = [answer_of(decision, model, short=True) for decision in found]
    page = page_of(answers, limit, str(answers[:limit][-1].number) if answers else "")
    return Page(items=list(page.items), next=page.next)


def evaluation_answer(found: Evaluation) -> EvaluationAnswer:
    """Return an evaluation as it is answered."""
    return EvaluationAnswer(
        number=found.number, state=found.state, error=found.error, decision=found.decision_id
    )


def answer_of(decision: Decision, model: str, *, short: bool = False) -> DecisionAnswer:
    """Return a decision as it is answered."""
    return DecisionAnswer(
        number=decision.id or 0,
        model=model,
        environment=decision.environment,
        challenger=decision.challenger,
        champion=decision.champion,
        anchor=decision.anchor,
        verdict=decision.verdict,
        superior=decision.superior,
        reason=str(decision.evidence.get("reason", "")),
        snapshot=decision.snapshot,
        run=decision.run_id,
        created_at=decision.created_at,
        created_by=decision.created_by,
        evidence={} if short else decision.evidence,
    )
