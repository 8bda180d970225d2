"""Routes of incidents."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.incidents import CloseRequest, EntryAnswer, IncidentAnswer, ReportAnswer
from mlreg.controller.services import incidents
from mlreg.controller.services.incidents import IncidentNotFoundError, IncidentStory
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import Listed, may, permit
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.permissions import Action
from mlreg.registry.store.database import ReadSession

router = APIRouter(prefix="/incidents", tags=["incidents"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("", dependencies=[may("read")])
def list_incidents(
    reading: Reading,
    listed: Listed,
    state: Literal["open", "closed"] | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> Page[IncidentAnswer]:
    """List incidents, newest first."""
    with reading() as session:
        found = incidents.list_incidents(
            session,
            model=listed.model,
            state=state,
            before=before,
            limit=limit + 1,
            names=listed.names,
        )
        return numbered_page([answer_of(story) for story in found], limit, lambda one: one.number)


@router.get("/{number}", dependencies=[may("read")])
def show_incident(number: Number, reading: Reading, caller: Caller) -> IncidentAnswer:
    """Show an incident with its timeline."""
    with reading() as session:
        return answer_of(_permitted(session, number, caller, "read"))


@router.post("/{number}/close", response_model=IncidentAnswer, dependencies=[may("incident.write")])
def close_incident(
    number: Number, body: CloseRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Close an incident."""

    def act() -> IncidentAnswer:
        _permitted(session, number, caller, "incident.write")
        incidents.close_incident(session, number, body.line, actor=caller, now=now)
        return answer_of(incidents.get_incident(session, number))

    with writing() as session:
        return once.run(session, now, act)


@router.get("/{number}/report", dependencies=[may("read")])
def report_incident(number: Number, reading: Reading, caller: Caller) -> ReportAnswer:
    """Return an incident as a Markdown page."""
    with reading() as session:
        story = _permitted(session, number, caller, "read")
        return ReportAnswer(number=number, markdown=incidents.report_incident(story))


def _permitted(session: ReadSession, number: int, caller: Actor, action: Action) -> IncidentStory:
    """Return an incident if the caller may do this to its model; else it is not there."""
    story = incidents.get_incident(session, number)
    permit(caller, action, story.model, unseen=IncidentNotFoundError(number=number))
    return story


def answer_of(story: IncidentStory) -> IncidentAnswer:
    """Return an incident as it goes over the wire."""
    incident = story.incident
    return IncidentAnswer(
        number=incident.id or 0,
        model=story.model,
        **incident.model_dump(exclude={"id", "model_id"}),
        entries=[EntryAnswer(**entry.model_dump()) for entry in story.entries],
    )
