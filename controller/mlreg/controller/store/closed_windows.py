"""Queries of windows that closed, many at once: each answers for many deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import text

from mlreg.controller.store.profiles import Body, fetch_with_bodies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import TextClause

    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import ReadSession

    Log = tuple[int, str]
    """A model's id and a feature contract, by its digest."""
    Place = tuple[int, str]
    """A model's id and an environment."""

_SPANS = """
    FROM jsonb_to_recordset(CAST(:spans AS jsonb)) AS one (
        place int, model_id bigint, name text, start timestamptz, "end" timestamptz)
"""
_HOURS = text(
    """
    SELECT one.place, hour.start, hour.version, hour.body"""
    + _SPANS
    + """
    JOIN window_profile AS hour ON hour.model_id = one.model_id AND hour.contract = one.name
        AND hour.start >= one.start AND hour.start < one."end"
    ORDER BY one.place, hour.start, hour.version
"""
)
_OUTAGES = text(
    """
    SELECT one.place, outage.start, outage."end" AS until"""
    + _SPANS
    + """
    JOIN outage ON outage.model_id = one.model_id
        AND outage.start < one."end" AND outage."end" > one.start
    ORDER BY one.place, outage.start
"""
)
_BODIES_AT = {
    "hour": text("""
        SELECT one.place, past.start, past.version, past.body
        FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
            place int, model_id bigint, contract text, starts timestamptz[])
        JOIN window_profile AS past ON past.model_id = one.model_id
            AND past.contract = one.contract AND past.start = ANY(one.starts)
        ORDER BY one.place, past.start, past.version
    """),
    "rolled": text("""
        SELECT one.place, past.start, past.version, past.body
        FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
            place int, model_id bigint, contract text, starts timestamptz[])
        JOIN rolled_profile AS past ON past.model_id = one.model_id
            AND past.contract = one.contract AND past.width = :width
            AND past.start = ANY(one.starts)
        ORDER BY one.place, past.start, past.version
    """),
}
_BESIDE = text("""
    SELECT one.place,
           EXISTS (SELECT FROM alert
                   WHERE model_id = one.model_id AND environment = one.environment
                     AND state IN ('pending', 'open'))
           OR EXISTS (SELECT FROM reading
                      WHERE model_id = one.model_id AND environment = one.environment
                        AND start = one.start)
           OR EXISTS (SELECT FROM business_value
                      WHERE model_id = one.model_id AND environment = one.environment
                        AND at >= one.start AND at < one."end")
           OR EXISTS (SELECT FROM invariant_set WHERE model_id = one.model_id) AS is_watched,
           (SELECT start FROM segment
            WHERE model_id = one.model_id AND kind = 'predictions' AND "end" >= one.since
            ORDER BY start LIMIT 1) AS logged,
           (SELECT min(start) FROM window_profile
            WHERE model_id = one.model_id AND contract = one.contract) AS profiled
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
        place int, model_id bigint, environment text, contract text, start timestamptz,
        "end" timestamptz, since timestamptz)
    ORDER BY one.place
""")
_REFERENCES = text("""
    SELECT one.place, reference.contract, reference.body,
           reference.labels IS NULL AND version.snapshots IS NOT NULL AS lacks_labels
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
        place int, model_id bigint, version int)
    JOIN reference_profile AS reference
        ON reference.model_id = one.model_id AND reference.version = one.version
    JOIN version ON version.model_id = one.model_id AND version.number = one.version
""")


class Asked(NamedTuple):
    """A window of a deployment; `since`: from when its log is to be profiled."""

    place: Place
    contract: str
    window: Interval
    since: datetime


class Beside(NamedTuple):
    """What there is beside the profiles of a window that nobody has read.

    Attributes:
        is_watched: it has business values, readings or invariants, or its deployment an alert.
        logged: when the first prediction was logged, of all that are to be profiled.
        profiled: the start of the first hour that is.
    """

    is_watched: bool
    logged: datetime | None
    profiled: datetime | None


class Reference(NamedTuple):
    """The stored profile of a version's training rows; `lacks_labels`: they may have some."""

    contract: str
    body: bytes
    lacks_labels: bool


class Span(NamedTuple):
    """A stretch of time of a log, a deployment or (without a name) a model."""

    model_id: int
    name: str
    within: Interval


def beside(session: ReadSession, asked: Sequence[Asked]) -> list[Beside]:
    """Return of each window what there is beside its profiles."""
    rows = [
        {
            "place": place,
            "model_id": one.place[0],
            "environment": one.place[1],
            "contract": one.contract,
            "start": one.window.start,
            "end": one.window.end,
            "since": one.since,
        }
        for place, one in enumerate(asked)
    ]
    found = session.connection().execute(_BESIDE, {"asked": _json(rows)}).cursor.fetchall()
    return [Beside(*row[1:]) for row in found]


def references_of(session: ReadSession, asked: Sequence[tuple[int, int]]) -> list[Reference | None]:
    """Return the reference of each version (the model's id and a number) that has one."""
    rows = [
        {"place": place, "model_id": model_id, "version": version}
        for place, (model_id, version) in enumerate(asked)
    ]
    found: list[Reference | None] = [None] * len(asked)
    for place, *columns in fetch_with_bodies(session, _REFERENCES, {"asked": _json(rows)}):
        found[place] = Reference(*columns)
    return found


def hours_of(session: ReadSession, spans: Sequence[Span]) -> list[list[Body]]:
    """Return for each log the profiles of its hours, by start and version."""
    found: list[list[Body]] = [[] for _ in spans]
    for place, *body in fetch_with_bodies(session, _HOURS, {"spans": _written(spans)}):
        found[place].append(Body(*body))
    return found


def bodies_at(
    session: ReadSession, width: str, asked: Sequence[tuple[Log, Sequence[datetime]]]
) -> list[list[Body]]:
    """Return for each log its profiles of windows that begin just then, by start and version."""
    rows = [
        {"place": place, "model_id": log[0], "contract": log[1], "starts": starts}
        for place, (log, starts) in enumerate(asked)
        if starts
    ]
    found: list[list[Body]] = [[] for _ in asked]
    if not rows:
        return found
    statement = _BODIES_AT["hour" if width == "hour" else "rolled"]
    for place, *body in fetch_with_bodies(
        session, statement, {"asked": _json(rows), "width": width}
    ):
        found[place].append(Body(*body))
    return found


def outages_of(
    session: ReadSession, spans: Sequence[Span]
) -> list[list[tuple[datetime, datetime]]]:
    """Return for each model from when to when its feed was down, oldest first."""
    found: list[list[tuple[datetime, datetime]]] = [[] for _ in spans]
    for place, start, end in _rows(session, _OUTAGES, spans):
        found[place].append((start, end))
    return found


def _written(spans: Sequence[Span]) -> str:
    return _json(
        [
            {
                "place": place,
                "model_id": one.model_id,
                "name": one.name,
                "start": one.within.start,
                "end": one.within.end,
            }
            for place, one in enumerate(spans)
        ]
    )


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return to_json(rows).decode()


def _rows(session: ReadSession, statement: TextClause, spans: Sequence[Span]) -> list[Any]:
    """Return the driver's own tuples; none where nothing is asked."""
    if not spans:
        return []
    values = {"spans": _written(spans)}
    return list(session.connection().execute(statement, values).cursor.fetchall())
