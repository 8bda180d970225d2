"""How an alert is written down, and told of, after a step of its rules.

What always holds: what happened is an entry, and what others are told of it is an event, both in
the transaction of the change: a kill at any point leaves all of it or nothing. A critical alert has
an incident, and where that one has just told people, the alert's own event is `quiet`: machines get
it, people do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mlreg.controller.domain import alerts as domain
from mlreg.controller.domain.alert_rule import KINDS, Severity
from mlreg.controller.domain.causes import title_of
from mlreg.controller.services import incidents
from mlreg.controller.store.tables import Alert, AlertEntry
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services.outbox import tell
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.domain.alerts import Notice, Phase, Step
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.registry.store.database import WriteSession

INCIDENT_KIND = "alert"
KEPT_READINGS = 20
TOLD_CULPRITS = 10
WATCHER = Actor(name="monitor:alerts", kind="system", role="controller")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an entry rests on: the strongest readings, and of how many."""

    readings: Sequence[Mapping[str, Any]] = ()
    count: int = 0

    @classmethod
    def of(cls, readings: Sequence[WindowReading]) -> Evidence:
        """Keep the readings with the largest values."""
        strongest = sorted(readings, key=lambda one: -abs(one.value or 0.0))[:KEPT_READINGS]
        return cls([one.as_evidence() for one in strongest], len(readings))


@dataclass(frozen=True, slots=True)
class Occasion:
    """When something happened to an alert, by whose hand, and on what it rests.

    Attributes:
        now: business time.
        told: people are told in other words already, in this transaction.
        incident: the one that told them.
    """

    now: datetime
    actor: Actor = WATCHER
    evidence: Evidence = Evidence()
    told: bool = False
    incident: int | None = None


def state_of(alert: Alert) -> domain.Alert:
    """Return an alert as its rules see it."""
    return domain.Alert(
        phase=cast("Phase", alert.state),
        severity=cast("Severity", alert.severity),
        culprits=tuple(alert.culprits),
        remind_at=alert.remind_at,
        snoozed_until=alert.snoozed_until,
        **domain.remembered(alert.memory),
    )


def spell_title(kind: str, culprits: Sequence[str]) -> str:
    """Return what an alert is called; one of a kind of its own by that."""
    return title_of(kind, culprits) if kind in KINDS else kind


def keep(session: WriteSession, alert: Alert, step: Step, occasion: Occasion) -> Alert | None:
    """Write down what is left of an alert, and all that happened to it, and tell of it."""
    state = step.alert
    if state is None:
        session.delete(alert)
        session.flush()
        return None
    if alert.opened_at is None and state.phase != "pending":
        alert.opened_at = occasion.now
    alert.state, alert.severity, alert.culprits = state.phase, state.severity, list(state.culprits)
    alert.memory, alert.remind_at = state.memory(), state.remind_at
    alert.snoozed_until = state.snoozed_until
    alert.ended_at = None if state.is_live else occasion.now
    alert.incident_id = occasion.incident or alert.incident_id
    session.add(alert)
    session.flush()
    for notice in step.notices:
        _note_and_tell(session, alert, notice, occasion)
    session.flush()
    failpoint("alert.told")
    return alert


def write_entry(
    session: WriteSession,
    alert: Alert,
    notice: Notice,
    occasion: Occasion,
    topic: str | None = None,
) -> None:
    """Write down one thing that happened to an alert; nobody is told by that."""
    evidence = occasion.evidence
    session.add(
        AlertEntry(
            alert_id=alert.id or 0,
            at=occasion.now,
            actor=occasion.actor.name,
            what=notice.what,
            line=notice.line,
            topic=topic,
            readings=[dict(one) for one in evidence.readings] or None,
            count=evidence.count,
        )
    )


def _note_and_tell(session: WriteSession, alert: Alert, notice: Notice, occasion: Occasion) -> None:
    topic = domain.TOLD.get(notice.what)
    said = _bring_to_incident(session, alert, notice, occasion)
    write_entry(session, alert, notice, occasion, topic)
    if topic is None:
        return
    if not notice.quiet:
        alert.told_at = occasion.now
    quiet = notice.quiet or occasion.told or occasion.incident is not None or said
    body = {
        "model": session.get_one(Model, alert.model_id).name,
        "environment": alert.environment,
        "number": alert.id,
        "kind": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "line": notice.line,
        "culprits": alert.culprits[:TOLD_CULPRITS],
        "count": len(alert.culprits),
        "incident": alert.incident_id,
        "quiet": quiet,
        "actor": occasion.actor.name,
    }
    tell(session, topic, body, now=occasion.now)


def _bring_to_incident(
    session: WriteSession, alert: Alert, notice: Notice, occasion: Occasion
) -> bool:
    """Add to the incident of an alert, or open one of a critical alert: then people are told."""
    line = f"alert {alert.id}: {notice.what}: {alert.title} ({notice.line})"
    if alert.incident_id is not None:
        if incidents.is_open(session, alert.incident_id):
            incidents.add_entry(
                session, alert.incident_id, line, actor=occasion.actor, now=occasion.now
            )
        return False
    loud = notice.what in {"opened", "escalated", "reminded"} and not notice.quiet
    if alert.severity != "critical" or not loud:
        return False
    alarm = incidents.Alarm(
        model_id=alert.model_id,
        environment=alert.environment,
        kind=INCIDENT_KIND,
        title=alert.title,
        line=line,
        evidence={"alert": alert.id, "culprits": alert.culprits[:TOLD_CULPRITS]},
        severity="critical",
    )
    alert.incident_id = incidents.open_incident(session, alarm, actor=WATCHER, now=occasion.now)
    return True
