"""The one document of the demo: what `--json` prints, and what table and picture are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from mlreg.cli.demo.flights import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlreg.cli.demo.ledger import Year
    from mlreg.cli.demo.replay import World
    from mlreg.cli.demo.scores import Measured, Scored
    from mlreg.cli.demo.watch import Watch
    from mlreg.client.wire.incidents import IncidentAnswer


KINDS = frozenset({"schedule", "labelled_rows", "drift", "performance"})
AFTERMATH = timedelta(days=3)
"""How long after the outage its incident may still be opened and its windows read."""


class Part(BaseModel):
    """A part of the document."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Quality(Part):
    """How well a model did on some labelled rows."""

    auc: float | None
    log_loss: float | None
    rows: int


class YearQuality(Quality):
    """How well a model did from February to December, and in each month."""

    by_month: dict[str, Quality]


class RevisionLine(Part):
    """One change of what serves."""

    number: int
    champion: int | None
    cause: str
    actor: str
    at: datetime
    reason: str
    forced: bool


class IncidentLine(Part):
    """One incident."""

    number: int
    kind: str
    title: str
    opened_at: datetime
    closed_at: datetime | None


class OutageLine(Part):
    """The days without a weather feed, and what the controller did about them.

    Attributes:
        start, end: when the feed was down.
        incident: the one that was opened, or None: nothing was noticed.
        windows_left_out: days whose readings say `outage`.
        runs: retrains asked for between the incident's opening and its end.
    """

    start: datetime
    end: datetime
    incident: IncidentLine | None
    windows_left_out: int
    runs: int
    firings_held_back: int
    static: Quality
    controlled: Quality


class RollbackLine(Part):
    """The guard's rollback of the forced version: from its first bad window to the restoration."""

    bad_version: int
    promoted_at: datetime
    first_bad_window: datetime | None
    restored_at: datetime
    restored_version: int | None
    hours: float | None
    revision: int
    incident: IncidentLine | None
    reason: str


class KeptServer(Part):
    """The server that `--keep` left running; `kill` of its process ends all of it."""

    url: str
    process: int
    data: str


class Document(Part):
    """Everything that the demo has to say."""

    static: YearQuality
    controlled: YearQuality
    firings_by_trigger: dict[str, int]
    firings_by_outcome: dict[str, int]
    runs_by_lane: dict[str, int]
    run_seconds_by_lane: dict[str, float]
    runs_failed: int
    decisions_by_verdict: dict[str, int]
    revisions: list[RevisionLine]
    incidents: list[IncidentLine]
    outage: OutageLine | None
    rollback: RollbackLine | None
    days: int
    seconds: float
    picture: str | None = None
    server: KeptServer | None = None


def make_document(world: World, year: Year, watch: Watch, seconds: float) -> Document:
    """Put the numbers together."""
    return Document(
        static=_year_quality(year, year.static),
        controlled=_year_quality(year, year.controlled),
        firings_by_trigger=_firings_by_trigger(watch),
        firings_by_outcome=_counted(one.outcome for one in watch.firings),
        runs_by_lane=_counted(one.lane for one in watch.runs),
        run_seconds_by_lane=_seconds_by_lane(watch),
        runs_failed=sum(one.state != "succeeded" for one in watch.runs),
        decisions_by_verdict=_counted(one.verdict for one in watch.decisions),
        revisions=[RevisionLine.model_validate(one.model_dump()) for one in watch.revisions],
        incidents=[_incident_line(one) for one in watch.incidents.values()],
        outage=_outage(world, year, watch),
        rollback=_rollback(watch),
        days=len(world.days),
        seconds=round(seconds, 1),
    )


def _year_quality(year: Year, scored: Scored) -> YearQuality:
    months = {month: _quality(one) for month, one in scored.by(year.months).items()}
    return YearQuality(**_quality(scored.measured()).model_dump(), by_month=months)


def _quality(one: Measured) -> Quality:
    return Quality(auc=one.auc, log_loss=one.log_loss, rows=one.rows)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _firings_by_trigger(watch: Watch) -> dict[str, int]:
    """Count the firings of every trigger that the policy declares, those that never held too."""
    declared = watch.client.policies.get(watch.model).policy["triggers"]
    never = {kind: 0 for trigger in declared for kind in trigger if kind in KINDS}
    return {**never, **_counted(name for one in watch.firings for name in one.triggers)}


def _seconds_by_lane(watch: Watch) -> dict[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for run in watch.runs:
        seconds[run.lane] += run.train_seconds or 0.0
    return {lane: round(total, 2) for lane, total in sorted(seconds.items())}


def _incident_line(one: IncidentAnswer) -> IncidentLine:
    return IncidentLine.model_validate(one.model_dump())


def _outage(world: World, year: Year, watch: Watch) -> OutageLine | None:
    start, end = (moment(day) for day in world.outage)
    if not world.start <= world.outage[0] < world.end:
        return None
    incident = _find_incident(watch, "outage", start, end + AFTERMATH)
    readings = watch.client.monitors.readings(
        watch.model, monitor="rows", after=start, until=end + AFTERMATH
    )
    edges = np.array([start.replace(tzinfo=None), end.replace(tzinfo=None)], "datetime64[us]")
    during = (year.times >= edges[0]) & (year.times < edges[1])
    noticed = start if incident is None else incident.opened_at
    held = [one for one in watch.firings if noticed <= one.fire_at <= end + AFTERMATH]
    return OutageLine(
        start=start,
        end=end,
        incident=None if incident is None else _incident_line(incident),
        windows_left_out=sum(one.state == "outage" for one in readings),
        runs=sum(noticed <= run.created_at < end for run in watch.runs),
        firings_held_back=sum(one.outcome == "outage" for one in held),
        static=_quality(year.static.where(during).measured()),
        controlled=_quality(year.controlled.where(during).measured()),
    )


def _rollback(watch: Watch) -> RollbackLine | None:
    """Return how a guard took back what a person had promoted by force, or None: it did not."""
    bad = next((one for one in watch.revisions if one.forced), None)
    if bad is None:
        return None
    done = next((one for one in watch.revisions if one.number == bad.number + 1), None)
    if done is None or done.cause != "guard":
        return None
    incident = _find_incident(watch, "guard", done.at, done.at)
    first = None if incident is None else _first_bad_window(incident)
    return RollbackLine(
        bad_version=bad.champion or 0,
        promoted_at=bad.at,
        first_bad_window=first,
        restored_at=done.at,
        restored_version=done.champion,
        hours=None if first is None else (done.at - first).total_seconds() / 3600,
        revision=done.number,
        incident=None if incident is None else _incident_line(incident),
        reason=done.reason,
    )


def _find_incident(
    watch: Watch, kind: str, start: datetime, end: datetime
) -> IncidentAnswer | None:
    """Return the first incident of a kind that was opened between two moments."""
    opened = (one for _, one in sorted(watch.incidents.items()) if one.kind == kind)
    return next((one for one in opened if start <= one.opened_at <= end), None)


def _first_bad_window(incident: IncidentAnswer) -> datetime | None:
    """Return the start of the first day that was bad by the policy's measure."""
    for entry in incident.entries:
        day = (entry.evidence or {}).get("first_bad_window")
        if day is not None:
            return datetime.fromisoformat(day).replace(tzinfo=UTC)
    return None
