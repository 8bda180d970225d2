"""Routes of alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.alerts import (
    AlertAnswer,
    AlertEntryAnswer,
    CloseAlertRequest,
    SnoozeRequest,
)
from mlreg.client.wire.base import Page
from mlreg.controller.services import attending
from mlreg.controller.services.attending import AlertNotFoundError
from mlreg.controller.store.alerts import Placed
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import Listed, may, permit
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.permissions import Action
from mlreg.registry.store.database import ReadSession, WriteSession

router = APIRouter(prefix="/alerts", tags=["alerts"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("", dependencies=[may("read")])
def list_alerts(
    reading: Reading,
    listed: Listed,
    state: Literal["open", "resolved", "closed"] | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> Page[AlertAnswer]:
    """List alerts, newest first."""
    with reading() as session:
        found = attending.list_alerts(
            session,
            model=listed.model,
            state=state,
            before=before,
            limit=limit + 1,
            names=listed.names,
        )
        return numbered_page([answer_of(one) for one in found], limit, lambda one: one.number)


@router.get("/{number}", dependencies=[may("read")])
def show_alert(number: Number, reading: Reading, caller: Caller) -> AlertAnswer:
    """Show an alert with what happened to it."""
    with reading() as session:
        return answer_of(_permitted(session, number, caller, "read"))


@router.post("/{number}/snooze", response_model=AlertAnswer, dependencies=[may("incident.write")])
def snooze_alert(
    number: Number,
    body: SnoozeRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Have nobody told of an alert for a while."""
    until = body.until or now + timedelta(seconds=body.seconds or 0)

    def act(session: WriteSession) -> None:
        attending.snooze_alert(session, number, until, actor=caller, now=now)

    return _done(number, act, writing, once, caller, now)


@router.post("/{number}/unsnooze", response_model=AlertAnswer, dependencies=[may("incident.write")])
def unsnooze_alert(
    number: Number, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """End the snooze of an alert."""

    def act(session: WriteSession) -> None:
        attending.unsnooze_alert(session, number, actor=caller, now=now)

    return _done(number, act, writing, once, caller, now)


@router.post("/{number}/close", response_model=AlertAnswer, dependencies=[may("incident.write")])
def close_alert(
    number: Number,
    body: CloseAlertRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """End an alert by hand."""

    def act(session: WriteSession) -> None:
        attending.close_alert(session, number, body.line, actor=caller, now=now)

    return _done(number, act, writing, once, caller, now)


def _done(
    number: int,
    act: Callable[[WriteSession], None],
    writing: Writing,
    once: OncePerKey,
    caller: Actor,
    now: datetime,
) -> Response:
    """Do something to an alert that the caller may work on, once; answer the alert."""
    with writing() as session:

        def whole() -> AlertAnswer:
            _permitted(session, number, caller, "incident.write")
            act(session)
            return answer_of(attending.get_alert(session, number))

        return once.run(session, now, whole)


def _permitted(session: ReadSession, number: int, caller: Actor, action: Action) -> Placed:
    """Return an alert if the caller may do this to its model; else it is not there."""
    found = attending.get_alert(session, number)
    permit(caller, action, found.model, unseen=AlertNotFoundError(number=number))
    return found


def answer_of(found: Placed) -> AlertAnswer:
    """Return an alert as it goes over the wire."""
    alert = found.alert
    return AlertAnswer(
        number=alert.id or 0,
        model=found.model,
        incident=alert.incident_id,
        **alert.model_dump(include=set(AlertAnswer.model_fields)),
        entries=[
            AlertEntryAnswer.model_validate(one, from_attributes=True) for one in found.entries
        ],
    )
