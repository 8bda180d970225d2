"""Watching: the one place that looks at readings just written, and raises alerts of them.

It is called in the transaction that wrote them, with the windows they are of. Whoever writes
readings with verdicts needs to know nothing else of alerts.

What always holds: where nothing is unusual and nothing is watched, one statement is all it costs;
a window is judged by all its readings of a kind, whoever wrote them and when, so that looking again
changes nothing; drift that an outage explains raises no alert, and the outage's alert says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.alert_rule import KINDS, AlertKind, AlertRules, Severity, as_loud_as
from mlreg.controller.domain.alerts import Sighting
from mlreg.controller.domain.causes import (
    EXPLAINED,
    OF_FEATURES,
    culprit_of,
    kind_of,
    rank_culprits,
)
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.services import alerting
from mlreg.controller.services.alert_records import Evidence, Occasion
from mlreg.controller.services.alerting import Cause
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.store import alerts as rows
from mlreg.controller.store.readings import outages_between
from mlreg.controller.store.tables import Outage

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""


@dataclass(frozen=True, slots=True)
class _Window:
    """What one window says: unusual readings by kind, the kinds that were judged, outages."""

    start: datetime
    unusual: dict[AlertKind, list[WindowReading]]
    judged: frozenset[AlertKind]
    is_down: bool
    outages: Sequence[Outage]

    def sighting(self, kind: AlertKind, *, again: bool) -> Sighting | None:
        """Return what it says of one kind; None for nothing at all."""
        because = f"outage {self.outages[0].id}" if self.outages else ""
        if self.is_down and kind in EXPLAINED:
            return Sighting(self.start, judged=False, because=because, again=again)
        if kind not in self.judged:
            return None
        readings = self.unusual.get(kind, [])
        down = {name for one in self.outages for name in one.features}
        down &= {culprit_of(one) for one in readings if kind in OF_FEATURES}
        names = rank_culprits(readings)
        return Sighting(
            self.start,
            tuple(name for name in names if name not in down),
            tuple(name for name in names if name in down),
            because,
            again=again,
        )


@dataclass(frozen=True, slots=True)
class _View:
    """How windows are looked at."""

    place: Place
    rules: AlertRules
    now: datetime
    again: bool


def watch(
    session: WriteSession,
    place: Place,
    windows: Sequence[Interval],
    *,
    now: datetime,
    rules: AlertRules | None = None,
    again: bool = False,
) -> None:
    """Look at the readings of windows, oldest first, and raise or end alerts.

    Args:
        session: the transaction that wrote the readings.
        place: the model's id and the environment.
        windows: what the readings are of.
        now: business time.
        rules: the policy's; looked up where they are needed, by default.
        again: the windows are of the past, and were looked at before.
    """
    looked = rows.look_at(session, place, [one.start for one in windows])
    if not looked.unusual and not looked.live:
        return
    rows.take_turns(session, place)  # who wrote other readings of these windows is done by then
    looked = rows.look_at(session, place, [one.start for one in windows])
    view = _View(place, rules or rules_in_force(session, place), now, again)
    for window in sorted(windows, key=lambda one: one.start):
        said = _window(session, place, window, looked)
        for kind in KINDS:
            if kind in looked.live or kind in said.unusual:
                _look(session, view, said, kind)


def remind(database: Database, now: datetime) -> int:
    """Tell again of open alerts, where it is time; return of how many."""
    with database.reading() as session:
        numbers = rows.due(session, now)
    for number in numbers:
        with database.writing() as session:
            alert = rows.lock(session, number)
            if alert is not None:
                rules = rules_in_force(session, (alert.model_id, alert.environment))
                alerting.remind(session, alert, rules, now)
    return len(numbers)


def rules_in_force(session: ReadSession, place: Place) -> AlertRules:
    """Return what the policy of a deployment says about alerts, or what holds without one."""
    in_force = policy_in_force(session, *place)
    return AlertRules() if in_force is None else in_force.policy.alerts


def _declared(broken: WindowReading) -> Severity | None:
    """Return how loud an invariant says that it is, if it does."""
    said: Severity | None = (broken.evidence or {}).get("alert")
    return said


def _window(session: ReadSession, place: Place, window: Interval, looked: rows.Looked) -> _Window:
    unusual: dict[AlertKind, list[WindowReading]] = defaultdict(list)
    is_down = False
    for one in looked.unusual:
        if one.start == window.start:
            if one.state == "outage":
                is_down = True
            else:
                unusual[kind_of(one.monitor)].append(one)
    judged = {kind_of(monitor) for start, monitor in looked.monitors if start == window.start}
    asks = is_down or not OF_FEATURES.isdisjoint(unusual)
    outages = outages_between(session, place[0], window) if asks else []
    return _Window(window.start, dict(unusual), frozenset(judged), is_down, outages)


def _look(session: WriteSession, view: _View, window: _Window, kind: AlertKind) -> None:
    """Take what a window says of one kind into account, under its rule."""
    sighting, rule = window.sighting(kind, again=view.again), view.rules.of_kind(kind)
    if sighting is None or kind == "outage":  # outages are raised where they are found
        return
    cause = Cause(*view.place, kind)
    if rule is None:
        alerting.resolve(session, cause, "the policy wants no such alerts", now=view.now)
        return
    if kind == "invariant":
        rule = as_loud_as(rule, [_declared(one) for one in window.unusual.get(kind, ())])
    occasion = Occasion(view.now, evidence=Evidence.of(window.unusual.get(kind, ())))
    alerting.sight(session, cause, sighting, rule, occasion)
    if sighting.explained or not sighting.judged:
        what = ", ".join(sighting.explained) or "all of it"
        line = f"explains {kind} of {window.start.isoformat()} ({what}): no alert is raised of it"
        alerting.note(session, Cause(*view.place, "outage"), line, now=view.now)
