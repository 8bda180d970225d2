"""Incidents: opened by the controller (or a person), with a timeline, closed, reported.

What always holds: of one kind at most one incident of a deployment is open per `key` (an outage's
start, a rolled-back revision); a closed incident takes no more entries; its timeline is only ever
added to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, func, select

from mlreg.controller.store.tables import Incident, IncidentEntry
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.domain.events import Severity
from mlreg.registry.services import audit, catalog
from mlreg.registry.services.outbox import tell
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


class IncidentNotFoundError(NotFoundError):
    """There is no incident of that number."""

    code = "incident_not_found"
    hint = "`mlreg incident list` shows what there is."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no incident {number}")


class IncidentClosedError(RefusedError):
    """The incident is closed already."""

    code = "incident_closed"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"incident {number} is closed")


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong, where, and the first line of the timeline.

    `severity`: how loud it is, where that is known; else as any incident is.
    """

    model_id: int
    environment: str
    kind: str
    title: str
    line: str
    evidence: Mapping[str, Any] | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class IncidentStory:
    """An incident with its model's name and its timeline, oldest first."""

    incident: Incident
    model: str
    entries: Sequence[IncidentEntry] = ()


def open_incident(session: WriteSession, alarm: Alarm, *, actor: Actor, now: datetime) -> int:
    """Open an incident and return its number."""
    incident = Incident(
        model_id=alarm.model_id,
        environment=alarm.environment,
        kind=alarm.kind,
        title=alarm.title,
        opened_at=now,
    )
    session.add(incident)
    session.flush()
    number = incident.id or 0
    add_entry(session, number, alarm.line, evidence=alarm.evidence, actor=actor, now=now)
    _tell(session, "incident.opened", incident, actor, now, alarm.severity)
    return number


def add_entry(
    session: WriteSession,
    number: int,
    line: str,
    *,
    evidence: Mapping[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Add a line to the timeline of an open incident.

    Raises:
        IncidentNotFoundError, IncidentClosedError: there is no such open incident.
    """
    _lock_open(session, number)
    session.add(
        IncidentEntry(
            incident_id=number,
            at=now,
            actor=actor.name,
            line=line,
            evidence=None if evidence is None else dict(evidence),
        )
    )
    session.flush()


def close_incident(
    session: WriteSession, number: int, line: str, *, actor: Actor, now: datetime
) -> None:
    """Close an incident with a last line.

    Raises:
        IncidentNotFoundError, IncidentClosedError: there is no such open incident.
    """
    add_entry(session, number, line, actor=actor, now=now)
    incident = _lock_open(session, number)
    incident.state, incident.closed_at, incident.closed_by = "closed", now, actor.name
    session.add(incident)
    session.flush()
    body = _tell(session, "incident.closed", incident, actor, now)
    subject, body = f"incident:{number}", {**body, "line": line}
    audit.record(session, action="incident.close", subject=subject, actor=actor, body=body, now=now)


def is_open(session: ReadSession, number: int) -> bool:
    """Say whether the incident is there and open (a person may have closed it)."""
    incident = session.get(Incident, number)
    return incident is not None and incident.state == "open"


def get_incident(session: ReadSession, number: int) -> IncidentStory:
    """Return an incident with its timeline.

    Raises:
        IncidentNotFoundError: there is none of that number.
    """
    incident = session.get(Incident, number)
    if incident is None:
        raise IncidentNotFoundError(number=number)
    entries = session.exec(
        select(IncidentEntry)
        .where(IncidentEntry.incident_id == number)
        .order_by(col(IncidentEntry.id))
    ).all()
    model = session.exec(select(Model.name).where(Model.id == incident.model_id)).one()
    return IncidentStory(incident, model, entries)


def list_incidents(
    session: ReadSession,
    *,
    model: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
    names: Collection[str] | None = None,
) -> list[IncidentStory]:
    """Return incidents without their timelines, newest first; of models of `names` only.

    `before` is the number of the last one of the page before.

    Raises:
        ModelNotFoundError: there is no model of that name.
    """
    query = (
        select(Incident, Model.name)
        .join(Model, col(Model.id) == Incident.model_id)
        .order_by(col(Incident.id).desc())
        .limit(limit)
    )
    if model is not None:
        query = query.where(Incident.model_id == catalog.id_of(catalog.get_model(session, model)))
    if state is not None:
        query = query.where(Incident.state == state)
    if before is not None:
        query = query.where(col(Incident.id) < before)
    if names is not None:
        query = query.where(col(Model.name).in_(names))
    return [IncidentStory(incident, name) for incident, name in session.exec(query).all()]


def count_open(session: ReadSession) -> dict[tuple[str, str], int]:
    """Return how many incidents are open, by model and environment, for those that have any."""
    found = session.exec(
        select(Model.name, Incident.environment, func.count())
        .join(Model, col(Model.id) == Incident.model_id)
        .where(Incident.state == "open")
        .group_by(col(Model.name), col(Incident.environment))
    )
    return {(model, environment): number for model, environment, number in found}


def report_incident(story: IncidentStory) -> str:
    """Return the incident as a Markdown page, the beginning of a post-mortem."""
    incident = story.incident
    closed = incident.closed_at.isoformat() if incident.closed_at else "still open"
    lines = [
        f"# Incident {incident.id}: {incident.title}",
        "",
        f"- model: {story.model} in {incident.environment}",
        f"- kind: {incident.kind}",
        f"- opened: {incident.opened_at.isoformat()}",
        f"- closed: {closed}" + (f" by {incident.closed_by}" if incident.closed_by else ""),
        "",
        "## Timeline",
        "",
    ]
    lines += [f"- {entry.at.isoformat()} ({entry.actor}): {entry.line}" for entry in story.entries]
    lines += ["", "## Evidence", ""]
    lines += [
        f"- {key}: {value}" for e in story.entries for key, value in (e.evidence or {}).items()
    ]
    return "\n".join(lines) + "\n"


def _tell(
    session: WriteSession,
    topic: str,
    incident: Incident,
    actor: Actor,
    now: datetime,
    severity: Severity | None = None,
) -> dict[str, object]:
    """Tell of an incident, and return what was told."""
    model = session.get_one(Model, incident.model_id)
    body: dict[str, object] = {
        "model": model.name,
        "environment": incident.environment,
        "number": incident.id,
        "kind": incident.kind,
        "title": incident.title,
        "actor": actor.name,
    }
    if severity is not None:
        body["severity"] = severity
    tell(session, topic, body, now=now)
    return body


def _lock_open(session: WriteSession, number: int) -> Incident:
    incident = session.exec(
        select(Incident).where(Incident.id == number).with_for_update()
    ).one_or_none()
    if incident is None:
        raise IncidentNotFoundError(number=number)
    if incident.state != "open":
        raise IncidentClosedError(number=number)
    return incident
