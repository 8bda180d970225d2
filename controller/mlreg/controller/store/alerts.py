"""Queries of alerts: what a window says that may concern one, and the alerts themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, text
from sqlmodel import col, func, select

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.store.tables import Alert, AlertEntry
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""
    CauseKey = tuple[Place, str, str]
    """Where, the kind, the subject."""

LIVE = ("pending", "open")
_WORTH_A_LOOK = text("""
    WITH judged AS MATERIALIZED (
        SELECT monitor, subject, start, "end", value, low, high, rows, state, verdict,
               CASE WHEN monitor LIKE 'invariant:%' THEN evidence END AS evidence
        FROM reading
        WHERE model_id = :model_id AND environment = :environment AND start = ANY(:starts)
          AND (verdict IS NOT NULL OR (monitor = 'rows' AND state = 'outage'))
    )
    (SELECT * FROM judged WHERE verdict = 'unusual' OR state = 'outage')
    UNION ALL
    (SELECT DISTINCT ON (start, monitor) * FROM judged WHERE verdict = 'normal')
    UNION ALL
    SELECT kind, subject, created_at, created_at, NULL, NULL, NULL, 0, 'alert', NULL, NULL
    FROM alert
    WHERE model_id = :model_id AND environment = :environment AND state IN ('pending', 'open')
""")
_TURNS = text("SELECT pg_advisory_xact_lock(727402, CAST(:model_id % 2147483647 AS int))")
_WATCH = text("""
    INSERT INTO alert (model_id, environment, kind, subject, title, severity, state, culprits,
                       memory, created_at, snoozed_until, incident_id)
    VALUES (:model_id, :environment, :kind, :subject, :title, :severity, 'pending',
            CAST('[]' AS jsonb), CAST(:memory AS jsonb), :now, :snoozed_until,
            :incident_id)
    ON CONFLICT (model_id, environment, kind, subject) WHERE state IN ('pending', 'open')
    DO NOTHING RETURNING id
""")


@dataclass(slots=True)
class Looked:
    """What windows say that may concern an alert.

    Attributes:
        unusual: readings whose verdict is so, and `rows` of windows in which a feed was down.
        monitors: (start, monitor) of all that was judged.
        live: the kinds of causes that are watched already.
    """

    unusual: list[WindowReading] = field(default_factory=list)
    monitors: set[tuple[datetime, str]] = field(default_factory=set)
    live: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Placed:
    """An alert with the name of its model, and its entries where they were asked for."""

    alert: Alert
    model: str
    entries: Sequence[AlertEntry] = ()


def look_at(session: ReadSession, place: Place, starts: Sequence[datetime]) -> Looked:
    """Return what is worth a look in the windows that start then; one statement."""
    found = Looked()
    values = {"model_id": place[0], "environment": place[1], "starts": list(starts)}
    for row in session.execute(_WORTH_A_LOOK, values):
        if row.state == "alert":
            found.live.add(row.monitor)
            continue
        if row.verdict is not None:
            found.monitors.add((row.start, row.monitor))
        if row.verdict == "unusual" or row.state == "outage":
            found.unusual.append(_reading(row))
    return found


def _reading(row: Row[Any]) -> WindowReading:
    return WindowReading(
        row.monitor,
        row.subject,
        row.start,
        row.end,
        row.value,
        row.rows,
        row.state,
        row.low,
        row.high,
        row.verdict,
        row.evidence,
    )


def take_turns(session: WriteSession, place: Place) -> None:
    """Let nobody else raise or end alerts of a model until the transaction ends."""
    session.execute(_TURNS, {"model_id": place[0]})


def lock_live(session: WriteSession, key: CauseKey) -> Alert | None:
    """Return what is watched of a cause, locked until the transaction ends."""
    place, kind, subject = key
    query = select(Alert).where(
        Alert.model_id == place[0],
        Alert.environment == place[1],
        Alert.kind == kind,
        Alert.subject == subject,
        col(Alert.state).in_(LIVE),
    )
    return session.exec(query.with_for_update()).one_or_none()


def find_last(session: ReadSession, key: CauseKey) -> Alert | None:
    """Return the last alert of a cause that is over."""
    place, kind, subject = key
    query = (
        select(Alert)
        .where(
            Alert.model_id == place[0],
            Alert.environment == place[1],
            Alert.kind == kind,
            Alert.subject == subject,
            col(Alert.state).not_in(LIVE),
        )
        .order_by(col(Alert.id).desc())
        .limit(1)
    )
    return session.exec(query).first()


def watch(session: WriteSession, alert: Alert) -> bool:
    """Begin to watch a cause; False when another transaction was first."""
    values = alert.model_dump(
        include={
            "model_id",
            "environment",
            "kind",
            "subject",
            "title",
            "severity",
            "snoozed_until",
            "incident_id",
        }
    )
    memory, now = json.dumps(alert.memory), alert.created_at
    return session.execute(_WATCH, {**values, "memory": memory, "now": now}).first() is not None


def lock(session: WriteSession, number: int) -> Alert | None:
    """Return an alert, locked until the transaction ends."""
    return session.exec(
        select(Alert).where(Alert.id == number, Alert.state != "pending").with_for_update()
    ).one_or_none()


def has_line(session: ReadSession, number: int, line: str) -> bool:
    """Say whether a line stands beside an alert already."""
    query = select(AlertEntry.id).where(AlertEntry.alert_id == number, AlertEntry.line == line)
    return session.exec(query.limit(1)).first() is not None


def due(session: ReadSession, now: datetime, limit: int = 100) -> list[int]:
    """Return the alerts of which it is time to tell again."""
    query = (
        select(Alert.id)
        .where(Alert.state == "open", col(Alert.remind_at) <= now)
        .order_by(col(Alert.remind_at))
        .limit(limit)
    )
    return [number or 0 for number in session.exec(query)]


def find(session: ReadSession, number: int) -> Placed | None:
    """Return an alert with its entries, oldest first; None while it is only watched."""
    alert = session.get(Alert, number)
    if alert is None or alert.state == "pending":
        return None
    entries = session.exec(
        select(AlertEntry).where(AlertEntry.alert_id == number).order_by(col(AlertEntry.id))
    ).all()
    model = session.exec(select(Model.name).where(Model.id == alert.model_id)).one()
    return Placed(alert, model, entries)


def list_all(
    session: ReadSession,
    *,
    model: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
    names: Collection[str] | None = None,
) -> list[Placed]:
    """Return alerts without their entries, newest first; of models of `names` only.

    `before` is the number of the last one of the page before.
    """
    query = (
        select(Alert, Model.name)
        .join(Model, col(Model.id) == Alert.model_id)
        .where(Alert.state != "pending")
        .order_by(col(Alert.id).desc())
        .limit(limit)
    )
    if model is not None:
        query = query.where(Model.name == model)
    if state is not None:
        query = query.where(Alert.state == state)
    if before is not None:
        query = query.where(col(Alert.id) < before)
    if names is not None:
        query = query.where(col(Model.name).in_(names))
    return [Placed(alert, name) for alert, name in session.exec(query)]


def count_open(session: ReadSession) -> dict[tuple[str, str], int]:
    """Return how many alerts are open, by model and environment, for those that have any."""
    found = session.exec(
        select(Model.name, Alert.environment, func.count())
        .join(Model, col(Model.id) == Alert.model_id)
        .where(Alert.state == "open")
        .group_by(col(Model.name), col(Alert.environment))
    )
    return {(model, environment): number for model, environment, number in found}
