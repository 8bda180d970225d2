"""Outages on record: told once, grown hour by hour, ended with the first good hour.

What always holds: an outage has exactly one incident, which closes by itself when the feed is back,
unless a person closed it before; its alert opens and ends with it, and says what it explains. One
that only a backfill brings to light has neither: it was over before anybody could know of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.alert_rule import DEFAULTS
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import alerting, incidents
from mlreg.controller.store import readings
from mlreg.controller.store.tables import Outage
from mlreg.registry.domain.actor import Actor

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.outage import OutageStep, Suspicion
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

MONITOR = Actor(name="monitor:outage", kind="system", role="controller")


def outages_between(
    session: ReadSession, model_id: int, start: datetime, end: datetime
) -> list[Interval]:
    """Return the outages that touch `start <= t < end`: what training and judging leave out."""
    return readings.outage_intervals(session, model_id, Interval(start, end))


def record_step(session: WriteSession, place: Place, outcome: OutageStep, now: datetime) -> None:
    """Write down what one hour did: an outage begun, grown, or ended."""
    if outcome.begun and outcome.suspicion is not None:
        _open_outage(session, place, outcome.suspicion, now)
    elif outcome.grown and outcome.suspicion is not None:
        _grow_outage(session, place, outcome.suspicion)
    if outcome.ended is not None:
        _end_outage(session, place, outcome.ended, now)


def record_past(session: WriteSession, model_id: int, found: Suspicion) -> None:
    """Write down an outage that was over before anybody could know of it."""
    if readings.find_outage(session, model_id, found.start) is None:
        session.add(_row(model_id, found, None))
        session.flush()


def _row(model_id: int, found: Suspicion, incident: int | None) -> Outage:
    return Outage(
        model_id=model_id,
        start=found.start,
        end=found.end,
        features=sorted(found.worst),
        share=max(found.worst.values()),
        incident_id=incident,
    )


def _open_outage(session: WriteSession, place: Place, found: Suspicion, now: datetime) -> None:
    model_id, environment = place
    if readings.find_outage(session, model_id, found.start) is not None:
        return
    features, share = sorted(found.worst), max(found.worst.values())
    alarm = incidents.Alarm(
        model_id=model_id,
        environment=environment,
        kind="outage",
        title=f"features at their defaults: {', '.join(features)}",
        line=f"since {found.start.isoformat()} up to {share:.0%} of the rows stand at the default"
        " or are missing; these hours are left out of training, drift, performance and guards,"
        " and start no retrain",
        evidence={"shares": dict(found.worst), "rows": found.rows, "hours": found.hours},
        severity="critical",
    )
    number = incidents.open_incident(session, alarm, actor=MONITOR, now=now)
    session.add(_row(model_id, found, number))
    session.flush()
    cause = _cause(place, alarm.title)
    alerting.raise_alert(session, cause, [], now=now, rule=DEFAULTS["outage"], incident=number)


def _grow_outage(session: WriteSession, place: Place, found: Suspicion) -> None:
    outage = readings.find_outage(session, place[0], found.start)
    if outage is None:
        return
    outage.end, outage.features = found.end, sorted(found.worst)
    outage.share = max(found.worst.values())
    session.add(outage)
    session.flush()


def _end_outage(session: WriteSession, place: Place, ended: Suspicion, now: datetime) -> None:
    outage = readings.find_outage(session, place[0], ended.start)
    number = outage.incident_id if outage is not None else None
    told = number is not None and incidents.is_open(session, number)
    back = f"the feed is back since {ended.end.isoformat()}"
    alerting.resolve(session, _cause(place), back, now=now, told=told)
    if number is None or not told:
        return
    hours = ended.interval.length.total_seconds() / 3600
    line = (
        f"the feed is back: {ended.start.isoformat()} to {ended.end.isoformat()}"
        f" ({hours:.0f} hours, {ended.rows:,} rows) stays left out"
    )
    incidents.close_incident(session, number, line, actor=MONITOR, now=now)


def _cause(place: Place, title: str = "") -> alerting.Cause:
    return alerting.Cause(*place, "outage", severity="critical", title=title)
