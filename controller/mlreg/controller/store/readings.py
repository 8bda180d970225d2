"""Queries of readings and outages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, or_, text
from sqlalchemy import select as sa_select
from sqlmodel import col, select

from mlreg.controller.domain.readings import ReadingState, Verdict, WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.store.tables import Outage, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from mlreg.controller.domain.triggers import Need
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

_INSERT = """
    INSERT INTO reading (model_id, environment, monitor, subject, start, "end", value, low, high,
                         rows, state, verdict, evidence, created_at)
    SELECT one.model_id, one.environment, one.monitor, one.subject, one.start, one."end", one.value,
           one.low, one.high, one.rows, one.state, one.verdict,
           coalesce(one.evidence, CAST(:evidence AS jsonb)), :now
    FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS one(
        model_id bigint, environment text, monitor text, subject text, start timestamptz,
        "end" timestamptz, value float8, low float8, high float8, rows int, state text,
        verdict text, evidence jsonb)
    ON CONFLICT (model_id, environment, monitor, subject, start) DO
"""
_KEEP = text(_INSERT + "NOTHING")
_ANEW = text(
    _INSERT
    + """UPDATE SET "end" = excluded."end", value = excluded.value, low = excluded.low,
    high = excluded.high, rows = excluded.rows, state = excluded.state,
    verdict = excluded.verdict, evidence = excluded.evidence, created_at = excluded.created_at"""
)
_RIPEN = text(_ANEW.text + " WHERE reading.state = 'immature'")


_SHOWN = ("monitor", "subject", "start", "end", "value", "rows", "state", "low", "high", "verdict")
"""The columns that rules look at, as `WindowReading` has them."""
_PAST = text("""
    SELECT monitor, subject, start, value FROM reading
    WHERE model_id = :model_id AND environment = :environment AND start = ANY(:starts)
      AND "end" = start + :width AND monitor = ANY(:monitors)
      AND state = 'final' AND value IS NOT NULL
""")


def write_readings(  # noqa: PLR0913 - what may be there already is treated in three ways
    session: WriteSession,
    place: Place,
    found: Iterable[WindowReading],
    *,
    now: datetime,
    keep: bool = False,
    ripen: bool = False,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Insert readings of a deployment; those that are there are written anew, or kept.

    Args:
        session: the transaction of the caller.
        place: the model's id and the environment.
        found: the readings.
        now: when they were taken, business time.
        keep: leave the ones that are there as they are.
        ripen: of the ones that are there, write only those that are immature.
        evidence: kept beside each of them that has none of its own.
    """
    write_all(session, [(place, found)], now=now, keep=keep, ripen=ripen, evidence=evidence)


def write_all(
    session: WriteSession,
    found: Iterable[tuple[Place, Iterable[WindowReading]]],
    *,
    now: datetime,
    keep: bool = False,
    ripen: bool = False,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Insert readings of many deployments in one statement; `write_readings` says how.

    One JSON parameter, whatever their number: a hundred rows cost the client next to nothing.

    """
    rows = [
        {"model_id": place[0], "environment": place[1], **one.as_row()}
        for place, readings in found
        for one in readings
    ]
    values = {
        "found": json.dumps(rows, allow_nan=False),
        "evidence": None if evidence is None else json.dumps(dict(evidence)),
        "now": now,
    }
    anew = _RIPEN if ripen else _ANEW
    session.execute(_KEEP if keep else anew, values)


def list_readings(  # noqa: PLR0913 - the columns one may select by
    session: ReadSession,
    *,
    model_id: int,
    environment: str,
    monitors: Sequence[str] = (),
    after: datetime | None = None,
    until: datetime | None = None,
    subject: str | None = None,
) -> list[Reading]:
    """Return the readings of windows that end in (after, until], oldest first."""
    query = select(Reading).where(Reading.model_id == model_id, Reading.environment == environment)
    if monitors:
        query = query.where(col(Reading.monitor).in_(monitors))
    if after is not None:
        query = query.where(col(Reading.end) > after)
    if until is not None:
        query = query.where(col(Reading.end) <= until)
    if subject is not None:
        query = query.where(Reading.subject == subject)
    query = query.order_by(col(Reading.start), col(Reading.monitor), col(Reading.subject))
    return list(session.exec(query).all())


def needed_readings(
    session: ReadSession, place: Place, need: Need, until: datetime
) -> Iterator[WindowReading]:
    """Yield the readings that a trigger needs of windows that end by `until`, oldest first."""
    for row in session.execute(_needed(place, need, until)):
        yield WindowReading(*row[1:])


def dated_readings(
    session: ReadSession, place: Place, need: Need, until: datetime
) -> Iterator[tuple[datetime, WindowReading]]:
    """Yield the same, each with when it was taken."""
    for row in session.execute(_needed(place, need, until)):
        yield row[0], WindowReading(*row[1:])


def _needed(place: Place, need: Need, until: datetime) -> Select[Any]:
    wanted: list[ColumnElement[bool]] = []
    if need.monitors:
        wanted.append(col(Reading.monitor).in_(need.monitors))
    wanted += [col(Reading.monitor).startswith(one, autoescape=True) for one in need.families]
    shown = (*_SHOWN, "evidence") if need.evidence else _SHOWN
    columns = (getattr(Reading, name) for name in shown)
    query = (
        sa_select(col(Reading.created_at), *columns)
        .where(col(Reading.model_id) == place[0], col(Reading.environment) == place[1])
        .where(or_(*wanted), col(Reading.end) <= until)
        .order_by(col(Reading.start), col(Reading.monitor), col(Reading.subject))
    )
    if need.after is not None:
        query = query.where(col(Reading.end) > need.after)
    return query


def find_reading(
    session: ReadSession, place: Place, monitor: str, window: Interval
) -> Reading | None:
    """Return the reading of a monitor that is about everything in just this window."""
    query = select(Reading).where(
        Reading.model_id == place[0],
        Reading.environment == place[1],
        Reading.monitor == monitor,
        Reading.subject == "",
        Reading.start == window.start,
        Reading.end == window.end,
    )
    return session.exec(query).first()


def past_values(
    session: ReadSession, place: Place, monitors: Sequence[str], past: Sequence[Interval]
) -> dict[tuple[str, str], dict[datetime, float]]:
    """Return (monitor, subject) → start → value of final readings of windows of one width."""
    values = {
        "model_id": place[0],
        "environment": place[1],
        "monitors": list(monitors),
        "starts": [one.start for one in past],
        "width": past[0].length,
    }
    found: dict[tuple[str, str], dict[datetime, float]] = {}
    for monitor, subject, start, value in session.execute(_PAST, values):
        found.setdefault((monitor, subject), {})[start] = value
    return found


def newest_window(session: ReadSession, model_id: int, environment: str) -> datetime | None:
    """Return the start of the newest window that was read."""
    query = select(func.max(Reading.start)).where(
        Reading.model_id == model_id,
        Reading.environment == environment,
        Reading.monitor == "rows",
    )
    return session.exec(query).one()


def window_reading(row: Reading) -> WindowReading:
    """Return a reading as rules see it."""
    return WindowReading(
        monitor=row.monitor,
        subject=row.subject,
        start=row.start,
        end=row.end,
        value=row.value,
        rows=row.rows,
        state=cast("ReadingState", row.state),
        low=row.low,
        high=row.high,
        verdict=cast("Verdict | None", row.verdict),
        evidence=row.evidence,
    )


def outages_between(session: ReadSession, model_id: int, within: Interval) -> list[Outage]:
    """Return the outages that touch an interval, oldest first."""
    query = (
        select(Outage)
        .where(Outage.model_id == model_id, Outage.start < within.end, Outage.end > within.start)
        .order_by(col(Outage.start))
    )
    return list(session.exec(query).all())


def outage_intervals(session: ReadSession, model_id: int, within: Interval) -> list[Interval]:
    """Return when the feed of a model was down: hours to be left out of everything."""
    found = outages_between(session, model_id, within)
    return [Interval(outage.start, outage.end) for outage in found]


def find_outage(session: ReadSession, model_id: int, start: datetime) -> Outage | None:
    """Return the outage that began at that hour."""
    query = select(Outage).where(Outage.model_id == model_id, Outage.start == start)
    return session.exec(query).first()
