"""Routes of triggers: call one, fire a policy by hand, ask why it did or did not fire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from mlreg.client.wire.triggers import (
    CallAnswer,
    CallRequest,
    FoundTrigger,
    WaitingAnswer,
    WhyAnswer,
)
from mlreg.controller.domain.waiting import Waiting
from mlreg.controller.services import calling, trigger_records
from mlreg.controller.services.trigger_records import Look
from mlreg.registry.api.context import Caller, Reading, SharedNow, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may

router = APIRouter(tags=["policies"])
PLACE = "/models/{model}/policies/{environment}"
Trigger = Annotated[str, Path(max_length=63)]


@router.post(
    PLACE + "/triggers/{trigger}",
    status_code=202,
    response_model=CallAnswer,
    dependencies=[may("policy.fire")],
)
def call_trigger(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    environment: str,
    trigger: Trigger,
    body: CallRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
) -> Response:
    """Call a webhook trigger of a policy, or, as `manual`, fire the policy by hand."""
    call = calling.Caller(model, environment, trigger, body.payload, body.reason)

    def act() -> CallAnswer:
        taken = calling.call_trigger(session, call, actor=caller, now=now)
        return CallAnswer(
            model=model,
            environment=environment,
            trigger=taken.trigger,
            serial=taken.event.serial,
            at=taken.event.at,
        )

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get(PLACE + "/why", dependencies=[may("read")])
def show_why(
    model: str,
    environment: str,
    reading: Reading,
    at: Annotated[AwareDatetime | None, Query()] = None,
) -> WhyAnswer:
    """Show what was found at the newest look at a policy's triggers, or the newest by a moment."""
    with reading() as session:
        return _answer(trigger_records.find_look(session, model, environment, at))


def _answer(look: Look) -> WhyAnswer:
    return WhyAnswer(
        model=look.in_force.model,
        environment=look.in_force.environment,
        number=look.in_force.number,
        moment=look.moment,
        needed=look.in_force.policy.combination.at_least,
        triggers=[FoundTrigger(**asdict(one)) for one in look.found],
        outcome=look.outcome,
        run=look.run_id,
        held=look.held,
        waiting=None if look.waiting is None else _waiting(look.waiting),
        next_due=look.next_due,
    )


def _waiting(waiting: Waiting) -> WaitingAnswer:
    return WaitingAnswer(
        why=waiting.why,
        what=waiting.what,
        since=waiting.since,
        until=waiting.until,
        triggers=dict(waiting.first),
    )
