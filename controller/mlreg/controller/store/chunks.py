"""Queries of many policies at once: each answers for a chunk of them in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic_core import to_json
from sqlalchemy import text

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.store.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import TextClause

    from mlreg.controller.domain.triggers import Need
    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""
    PolicyStamp = tuple[int, str, datetime]
    """A policy's id, the transaction that wrote it, and when: no other policy has the same."""

Measure = Literal["done", "asked"]
"""Of a mature window: it is measured or was given up, or that is asked for."""
Shown = dict[str, list[WindowReading]]
"""Readings by monitor."""

_LOCK = text("""
    SELECT id, model_id, environment, policy_id, CAST(memory AS text) FROM policy_state
    WHERE id = ANY(:ids) AND enabled AND next_fire_at <= :now
    ORDER BY id FOR UPDATE SKIP LOCKED
""")
_LATE = text("""
    SELECT model_id, environment, min(start) FROM late_hour
    WHERE model_id = ANY(:models) GROUP BY model_id, environment
""")
_STAMPS = text("SELECT id, CAST(xmin AS text), created_at FROM policy WHERE id = ANY(:ids)")
_BODIES = text("SELECT id, CAST(body AS text) FROM policy WHERE id = ANY(:ids)")
_SERVING = text("""
    SELECT deployment.model_id, deployment.environment, deployment.id, deployment.revision,
           deployment.frozen, deployment.cooldown_until, version.number, change.at, change.cause,
           version.feature_contract, version.created_at
    FROM deployment
    JOIN version ON version.model_id = deployment.model_id AND version.number = deployment.champion
    CROSS JOIN LATERAL (
        SELECT revision.at, revision.cause FROM revision
        WHERE revision.deployment_id = deployment.id AND revision.number > (
            SELECT coalesce(max(other.number), 0) FROM revision AS other
            WHERE other.deployment_id = deployment.id
              AND other.champion IS DISTINCT FROM deployment.champion)
        ORDER BY revision.number LIMIT 1) AS change
    WHERE deployment.model_id = ANY(:models)
""")
_LAST_RUNS = text("""
    SELECT one.model_id, one.environment, run.created_at
    FROM unnest(CAST(:models AS bigint[]), CAST(:environments AS text[]))
        AS one (model_id, environment)
    CROSS JOIN LATERAL (
        SELECT run.created_at FROM run
        WHERE run.model_id = one.model_id AND run.environment = one.environment
          AND run.state <> 'cancelled'
        ORDER BY run.created_at DESC LIMIT 1) AS run
""")
_READINGS = text("""
    SELECT one.place, reading.monitor, reading.subject, reading.start, reading."end",
           reading.value, reading.rows, reading.state, reading.low, reading.high,
           reading.verdict, CASE WHEN one.evidence THEN reading.evidence END
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS one (
        place int, model_id bigint, environment text, monitor text, after timestamptz,
        until timestamptz, evidence bool)
    JOIN reading ON reading.model_id = one.model_id AND reading.monitor = one.monitor
        AND reading.environment = one.environment
        AND reading."end" > one.after AND reading."end" <= one.until
""")
_WAITING = text("""
    SELECT model_id, min(received_at) FROM batch
    WHERE model_id = ANY(:models) AND segment IS NULL GROUP BY model_id
""")
_MEASURES = text("""
    SELECT one.place,
           EXISTS (SELECT FROM reading
                   WHERE model_id = one.model_id AND environment = one.environment
                     AND monitor = 'labelled' AND reading.start = one.start
                     AND reading."end" <= one."end" AND state <> 'immature')
           OR EXISTS (SELECT FROM job
                      WHERE dedupe_key = one.key AND state IN ('dead', 'failed')) AS done,
           EXISTS (SELECT FROM job
                   WHERE dedupe_key = one.key AND state IN ('queued', 'running')) AS asked
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
        place int, model_id bigint, environment text, start timestamptz, "end" timestamptz,
        key text)
""")
_RECORD = text("""
    INSERT INTO trigger_record (policy_id, moment, found)
    SELECT * FROM jsonb_to_recordset(CAST(:looks AS jsonb)) AS one (
        policy_id bigint, moment timestamptz, found jsonb)
    ON CONFLICT DO NOTHING
""")
_REMEMBER = text("""
    UPDATE policy_state AS state
    SET memory = one.memory, evaluated_until = one.evaluated_until, next_fire_at = one.next_fire_at
    FROM jsonb_to_recordset(CAST(:states AS jsonb)) AS one (
        id bigint, memory jsonb, evaluated_until timestamptz, next_fire_at timestamptz)
    WHERE state.id = one.id
""")


class DueState(NamedTuple):
    """What is remembered of a policy that has something due; `memory` is JSON text."""

    id: int
    model_id: int
    environment: str
    policy_id: int
    memory: str

    @property
    def place(self) -> Place:
        """The model's id and the environment."""
        return self.model_id, self.environment


class Wanted(NamedTuple):
    """Readings that a trigger of one policy needs, of windows that end by a moment."""

    place: Place
    need: Need
    until: datetime


def lock_due(session: WriteSession, ids: Sequence[int], now: datetime) -> list[DueState]:
    """Return those states that are due and that nobody else has, locked until the commit."""
    return [DueState(*row) for row in _rows(session, _LOCK, {"ids": list(ids), "now": now})]


def late_since(session: ReadSession, models: Sequence[int]) -> dict[Place, datetime]:
    """Return by deployment the oldest hour that rows came for when it was past."""
    return {row[:2]: row[2] for row in _rows(session, _LATE, {"models": list(models)})}


def policy_stamps(session: ReadSession, ids: Sequence[int]) -> list[PolicyStamp]:
    """Return what tells policies apart: another database has others under these ids."""
    return _rows(session, _STAMPS, {"ids": list(ids)})


def policy_bodies(session: ReadSession, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return policies as they were written down, as JSON text."""
    return _rows(session, _BODIES, {"ids": list(ids)})


def servings(session: ReadSession, models: Sequence[int]) -> dict[Place, Serving]:
    """Return what serves these models, in every environment."""
    found = _rows(session, _SERVING, {"models": list(models)})
    return {row[:2]: Serving(*row[2:]) for row in found}


def last_runs(session: ReadSession, places: Sequence[Place]) -> dict[Place, datetime]:
    """Return when the last run of each deployment was asked for that was not cancelled."""
    values = {"models": [one[0] for one in places], "environments": [one[1] for one in places]}
    return {row[:2]: row[2] for row in _rows(session, _LAST_RUNS, values)}


def readings_of(session: ReadSession, wanted: Sequence[Wanted]) -> list[Shown]:
    """Return for each need the readings of the monitors that it names, in no order."""
    asked = [
        {
            "place": number,
            "model_id": one.place[0],
            "environment": one.place[1],
            "monitor": name,
            "after": one.need.after or "-infinity",
            "until": one.until,
            "evidence": one.need.evidence,
        }
        for number, one in enumerate(wanted)
        for name in one.need.monitors
    ]
    shown: list[Shown] = [{name: [] for name in one.need.monitors} for one in wanted]
    make = tuple.__new__  # as `_make` does, without its check: the columns are as in the statement
    for row in _rows(session, _READINGS, {"wanted": _json(asked)}):
        shown[row[0]][row[1]].append(make(WindowReading, row[1:]))
    return shown


def waiting_since(session: ReadSession, models: Sequence[int]) -> dict[int, datetime]:
    """Return when the oldest batch was received of each model that is not drained yet."""
    return dict(_rows(session, _WAITING, {"models": list(models)}))


def measures_of(
    session: ReadSession, asked: Sequence[tuple[Place, Interval, str]]
) -> list[Measure | None]:
    """Return how far the measuring of windows is that the jobs of these keys measure."""
    rows = [
        {
            "place": number,
            "model_id": place[0],
            "environment": place[1],
            "start": window.start,
            "end": window.end,
            "key": key,
        }
        for number, (place, window, key) in enumerate(asked)
    ]
    found: list[Measure | None] = [None] * len(asked)
    for number, is_done, is_asked in _rows(session, _MEASURES, {"asked": _json(rows)}):
        found[number] = "done" if is_done else "asked" if is_asked else None
    return found


def record(session: WriteSession, looks: Sequence[Mapping[str, object]]) -> None:
    """Write down what was found of triggers, as `trigger_records.write_record` does.

    Each has policy_id, moment and found (as `trigger_records.forms_of` returns it).
    """
    session.execute(_RECORD, {"looks": _json(looks)})


def remember(session: WriteSession, states: Sequence[Mapping[str, object]]) -> None:
    """Write memories back; each has id, memory, evaluated_until and next_fire_at."""
    session.execute(_REMEMBER, {"states": _json(states)})


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, moments among their values, as JSON; in half the time that `json` takes."""
    return to_json(rows).decode()


def _rows(session: ReadSession, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Return the driver's own tuples: SQLAlchemy's rows take three times as long."""
    return list(session.connection().execute(statement, values).cursor.fetchall())
