"""Routes of approvals: give one, take it back, ask for them, see who has given what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from mlreg.client.wire.approvals import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalsAnswer,
    GivenAnswer,
    OpinionRequest,
    WaitingAnswer,
    WithdrawRequest,
)
from mlreg.registry.api.cache import Caches
from mlreg.registry.api.context import Caller, Now, Reading, Store, Writing
from mlreg.registry.api.idempotency import Once, OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.pages import MAX_PAGE
from mlreg.registry.services import approvals
from mlreg.registry.services.approvals import Given, Opinion, Waiting
from mlreg.registry.services.deployments import Change, ChangedState, get_deployment
from mlreg.registry.store.failpoint import failpoint

router = APIRouter(prefix="/models/{model}/deployments/{environment}", tags=["approvals"])
Number = Annotated[int, Path(ge=1, lt=2**63)]
Cursor = Annotated[int | None, Query(ge=1, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One request about a deployment: who asks, where, once per key, by which doors."""

    change: Change
    writing: Writing
    once: Once
    caches: Caches
    now: datetime


async def _turn(  # noqa: PLR0913, PLR0917 - what a route is given
    request: Request,
    model: str,
    environment: str,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Turn:
    return Turn(Change(model, environment, caller), writing, once, request.app.state.caches, now)


OneTurn = Annotated[Turn, Depends(_turn)]


@router.post(
    "/approvals", status_code=201, response_model=GivenAnswer, dependencies=[may("approve")]
)
def give(body: OpinionRequest, turn: OneTurn, store: Store) -> Response:
    """Approve a version, or reject it; the last approval promotes what waits for it."""
    change = Change(turn.change.model, turn.change.environment, turn.change.actor, body.reason)
    opinion = Opinion(body.version, body.verdict, body.decision)
    promoted: list[ChangedState] = []

    def act() -> GivenAnswer:
        given = approvals.give(session, change, opinion, store=store, now=turn.now)
        promoted.extend([given.promoted] if given.promoted else [])
        return _given(change, given)

    with turn.writing() as session:
        response = turn.once.run(session, turn.now, act, status=201)
    failpoint("approval.committed")
    for state in promoted:
        turn.caches.deployments.take(state)
    return response


@router.post(
    "/approvals/{number}/withdraw", response_model=ApprovalAnswer, dependencies=[may("approve")]
)
def withdraw(number: Number, body: WithdrawRequest, turn: OneTurn) -> Response:
    """Take a word back: one's own, or anybody's for who protects the deployment."""
    change = Change(turn.change.model, turn.change.environment, turn.change.actor, body.reason)
    protects = change.actor.may("deployment.protect", change.model)

    def act() -> ApprovalAnswer:
        taken = approvals.withdraw(session, change, number, for_others=protects, now=turn.now)
        return ApprovalAnswer.model_validate(_word(change, taken))

    with turn.writing() as session:
        return turn.once.run(session, turn.now, act)


@router.post(
    "/approval-requests",
    status_code=201,
    response_model=WaitingAnswer,
    dependencies=[may("promote")],
)
def request(body: ApprovalRequest, turn: OneTurn) -> Response:
    """Have a promote wait for its approvals; the last one does it."""
    change = Change(turn.change.model, turn.change.environment, turn.change.actor, body.reason)

    def act() -> WaitingAnswer:
        return _waiting(approvals.request(session, change, version=body.version, now=turn.now))

    with turn.writing() as session:
        return turn.once.run(session, turn.now, act, status=201)


@router.get("/approvals", dependencies=[may("read")])
def list_approvals(
    model: str,
    environment: str,
    reading: Reading,
    before: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> ApprovalsAnswer:
    """List who approved or rejected what, newest first, and which promotes wait."""
    with reading() as session:
        state = get_deployment(session, model, environment)
        page = approvals.list_given(session, state, before=before, limit=limit)
        waiting = approvals.list_waiting(session, state)
    place = Change(model, environment, SYSTEM)
    return ApprovalsAnswer(
        items=[ApprovalAnswer.model_validate(_word(place, one)) for one in page.items],
        next=page.next,
        approvals_required=state.approvals_required,
        waiting=[_waiting(one) for one in waiting],
    )


def _word(place: Change, given: Given) -> dict[str, object]:
    row = given.approval
    return {
        **row.model_dump(),
        "number": row.id,
        "model": place.model,
        "environment": place.environment,
        "decision": row.decision_id,
        "holds": given.holds,
    }


def _given(place: Change, given: Given) -> GivenAnswer:
    return GivenAnswer.model_validate(
        {
            **_word(place, given),
            "approvals": given.counted,
            "approvals_required": given.required,
            "promoted": given.promoted.revision if given.promoted else None,
            "notes": given.notes,
        }
    )


def _waiting(found: Waiting) -> WaitingAnswer:
    row = found.request
    return WaitingAnswer.model_validate(
        {
            **row.model_dump(),
            "decision": row.decision_id,
            "holds": found.holds,
            "approvers": found.approvers,
            "objectors": found.objectors,
        }
    )
