"""Raising alerts: opened, folded, made louder, reminded of, ended.

What always holds: of one cause at most one alert is watched or open, whoever saw it first (a unique
index says so), and two who see it at once take turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain import alerts as domain
from mlreg.controller.domain.alert_rule import (
    AT_ONCE,
    KINDS,
    AlertRule,
    AlertRules,
    Severity,
)
from mlreg.controller.domain.alerts import Notice, Sighting
from mlreg.controller.domain.causes import rank_culprits
from mlreg.controller.services import incidents
from mlreg.controller.services.alert_records import (
    Evidence,
    Occasion,
    keep,
    spell_title,
    state_of,
    write_entry,
)
from mlreg.controller.store import alerts as rows
from mlreg.controller.store.tables import Alert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.readings import WindowReading
    from mlreg.registry.store.database import WriteSession


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong, where; at most one alert is open for (model, environment, kind, subject)."""

    model_id: int
    environment: str
    kind: str
    subject: str = ""
    severity: Severity = "warning"
    title: str = ""

    @property
    def key(self) -> rows.CauseKey:
        """What no other open alert has."""
        return (self.model_id, self.environment), self.kind, self.subject


def raise_alert(
    session: WriteSession,
    cause: Cause,
    readings: Sequence[WindowReading],
    *,
    now: datetime,
    rule: AlertRule | None = None,
    incident: int | None = None,
) -> int | None:
    """Say that something is wrong; open an alert, or fold this into the one that is open.

    Args:
        session: the transaction in which it was seen.
        cause: what and where.
        readings: what shows it, of one window; without any, the moment itself counts as a window.
        now: business time.
        rule: after how many such words it opens; by default at once.
        incident: the open incident that tells people of it already, if there is one.

    Returns:
        The number of the alert; None while it is none yet.
    """
    rule = (rule or AT_ONCE).model_copy(update={"severity": cause.severity})
    start = readings[0].start if readings else now
    culprits = tuple(rank_culprits(readings)) or (cause.subject or cause.kind,)
    occasion = Occasion(now, evidence=Evidence.of(readings), incident=incident)
    alert = sight(session, cause, Sighting(start, culprits), rule, occasion)
    return None if alert is None or alert.state == "pending" else alert.id


def sight(
    session: WriteSession, cause: Cause, sighting: Sighting, rule: AlertRule, occasion: Occasion
) -> Alert | None:
    """Take one window into account; return what is watched after it, or was until now."""
    alert = rows.lock_live(session, cause.key)
    if alert is None:
        alert = _begin(session, cause, sighting, rule, occasion)
    if alert is None:
        return None
    step = domain.look(state_of(alert), sighting, rule, occasion.now)
    about = (step.alert.culprits if step.alert else ()) or sighting.culprits
    alert.title = cause.title or (spell_title(alert.kind, about) if about else alert.title)
    return keep(session, alert, step, occasion)


def resolve(
    session: WriteSession, cause: Cause, line: str, *, now: datetime, told: bool = False
) -> bool:
    """Say that a cause is over; False where no alert was open.

    `told`: people are told in other words already, in this transaction.
    """
    alert = rows.lock_live(session, cause.key)
    if alert is None:
        return False
    step = domain.end(state_of(alert), line, now)
    return keep(session, alert, step, Occasion(now, told=told)) is not None


def note(session: WriteSession, cause: Cause, line: str, *, now: datetime) -> None:
    """Write a line beside the newest alert of a cause, once, if there is one; nobody is told."""
    alert = rows.lock_live(session, cause.key) or rows.find_last(session, cause.key)
    if alert is not None and not rows.has_line(session, alert.id or 0, line):
        write_entry(session, alert, Notice("grown", line, quiet=True), Occasion(now))


def remind(session: WriteSession, alert: Alert, rules: AlertRules, now: datetime) -> None:
    """Tell of an open alert again, where it is time."""
    step = domain.remind(state_of(alert), rule_of(alert, rules), now)
    keep(session, alert, step, Occasion(now))


def rule_of(alert: Alert, rules: AlertRules) -> AlertRule:
    """Return the rule of an alert; of what no policy speaks of: at once."""
    found = rules.of_kind(alert.kind) if alert.kind in KINDS else None
    return found or AT_ONCE


def _begin(
    session: WriteSession, cause: Cause, sighting: Sighting, rule: AlertRule, occasion: Occasion
) -> Alert | None:
    """Watch a cause where the sighting begins one; return it, locked."""
    if not sighting.culprits or sighting.again:
        return None
    last = rows.find_last(session, cause.key)
    begun = domain.begin(sighting, rule, None if last is None else state_of(last))
    if begun is None:
        return None
    incident = None if last is None else last.incident_id
    is_open = incident is not None and incidents.is_open(session, incident)
    row = Alert(
        model_id=cause.model_id,
        environment=cause.environment,
        kind=cause.kind,
        subject=cause.subject,
        title=cause.title or spell_title(cause.kind, sighting.culprits),
        severity=begun.severity,
        state=begun.phase,
        culprits=[],
        memory=begun.memory(),
        created_at=occasion.now,
        snoozed_until=begun.snoozed_until,
        incident_id=incident if is_open else None,
    )
    rows.watch(session, row)
    return rows.lock_live(session, cause.key)
