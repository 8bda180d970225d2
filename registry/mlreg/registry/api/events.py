"""The route of events: read on from a place, for whoever would rather ask than be told."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mlreg.client.wire.webhooks import EventAnswer, EventsAnswer
from mlreg.registry.api.context import Caller, Parts
from mlreg.registry.api.permission import may
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.events import Event
from mlreg.registry.services.outbox import READ_AT_ONCE, list_events, order_events
from mlreg.registry.store import outbox

router = APIRouter(prefix="/events", tags=["events"])


@router.get("", dependencies=[may("read")])
def list_events_after(
    parts: Parts,
    caller: Caller,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=READ_AT_ONCE)] = 100,
) -> EventsAnswer:
    """List events after a place, in the order in which everybody is told of them."""
    order_events(parts.database)
    with parts.database.reading() as session:
        newest, oldest = outbox.head(session), outbox.find_oldest(session)
        found = list_events(session, after, limit)
    return EventsAnswer(
        items=[_answer(event) for event in found if _may_see(caller, event)],
        after=found[-1].seq if found else max(after, newest),
        newest=newest,
        lost=after > 0 and after + 1 < (oldest or newest + 1),
    )


def _may_see(caller: Actor, event: Event) -> bool:
    """Say whether a caller may read an event: of his models, or of none and he has all."""
    own = caller.models_for("read")
    return own is None or event.model in own


def _answer(event: Event) -> EventAnswer:
    return EventAnswer(
        seq=event.seq,
        id=event.key,
        topic=event.topic,
        at=event.at,
        line=event.line,
        body=dict(event.body),
    )
