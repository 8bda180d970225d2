"""Queries of label profiles and loss models."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import LabelProfile, LossModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

_KEEP = text("""
    INSERT INTO label_profile (model_id, environment, start, "end", labels_until, state, rows,
                               labelled, body)
    VALUES (:model_id, :environment, :start, :end, :labels_until, :state, :rows, :labelled,
            CAST(:body AS jsonb))
    ON CONFLICT (model_id, environment, start) DO UPDATE
    SET "end" = excluded."end", labels_until = excluded.labels_until, state = excluded.state,
        rows = excluded.rows, labelled = excluded.labelled, body = excluded.body
    WHERE label_profile.state <> 'final' OR excluded.state = 'final'
""")

_NEW_BATCHES = text("""
    SELECT id FROM batch
    WHERE model_id = :model_id AND kind = 'labels' AND segment IS NOT NULL
      AND received_at > :after AND received_at <= :until
""")

_NEW_SEGMENTS = text("""
    SELECT digest FROM segment
    WHERE model_id = :model_id AND kind = 'labels' AND created_at > :after ORDER BY start, digest
""")
_MATURE = text("""
    SELECT one.model_id, one.environment
    FROM unnest(CAST(:models AS bigint[]), CAST(:environments AS text[]))
        AS one (model_id, environment)
    WHERE EXISTS (SELECT FROM label_profile WHERE model_id = one.model_id
                  AND environment = one.environment AND state = 'final' AND labelled > 0)
""")
_MATURE_BODIES = text("""
    SELECT one.place, past.body
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS one (
        place int, model_id bigint, environment text, until timestamptz)
    CROSS JOIN LATERAL (
        SELECT body, start FROM label_profile
        WHERE model_id = one.model_id AND environment = one.environment
          AND "end" <= one.until AND state = 'final'
        ORDER BY start DESC LIMIT :limit) AS past
    ORDER BY one.place, past.start DESC
""")


def keep_profile(session: WriteSession, values: Mapping[str, Any]) -> None:
    """Write what the labels of a window say; a mature window is never overwritten by a look."""
    session.execute(_KEEP, values)


def newest_profiles(
    session: ReadSession, place: Place, until: datetime, *, limit: int, state: str | None = None
) -> Sequence[LabelProfile]:
    """Return the newest profiles of windows that ended by a moment, the newest first."""
    query = select(LabelProfile).where(
        LabelProfile.model_id == place[0],
        LabelProfile.environment == place[1],
        col(LabelProfile.end) <= until,
    )
    if state is not None:
        query = query.where(LabelProfile.state == state)
    return session.exec(query.order_by(col(LabelProfile.start).desc()).limit(limit)).all()


def has_mature(session: ReadSession, place: Place) -> bool:
    """Say whether any window of a deployment was measured when it was mature."""
    return place in with_mature(session, [place])


def with_mature(session: ReadSession, places: Sequence[Place]) -> set[Place]:
    """Return the deployments of which any window was measured when it was mature."""
    values = {"models": [one[0] for one in places], "environments": [one[1] for one in places]}
    return {(row[0], row[1]) for row in session.execute(_MATURE, values)} if places else set()


def mature_bodies(
    session: ReadSession, asked: Sequence[tuple[Place, datetime]], limit: int
) -> list[list[dict[str, Any]]]:
    """Return for each deployment what its newest mature windows say that ended by a moment.

    The newest is the first.
    """
    rows = [
        {"place": number, "model_id": place[0], "environment": place[1], "until": until.isoformat()}
        for number, (place, until) in enumerate(asked)
    ]
    found: list[list[dict[str, Any]]] = [[] for _ in asked]
    if rows:
        values = {"asked": json.dumps(rows), "limit": limit}
        for number, body in session.execute(_MATURE_BODIES, values):
            found[number].append(body)
    return found


def mature_starts(
    session: ReadSession, place: Place, until: datetime, seconds: int
) -> list[datetime]:
    """Return the starts of mature windows before a moment, as far back as so many seconds."""
    query = (
        select(LabelProfile.start)
        .where(
            LabelProfile.model_id == place[0],
            LabelProfile.environment == place[1],
            LabelProfile.state == "final",
            col(LabelProfile.end) >= until - timedelta(seconds=seconds),
            col(LabelProfile.start) < until,
        )
        .order_by(col(LabelProfile.start).desc())
    )
    return list(session.exec(query).all())


def new_label_batches(session: ReadSession, model_id: int, received: Interval) -> list[int]:
    """Return the drained batches of labels that were received in (start, end]."""
    values = {"model_id": model_id, "after": received.start, "until": received.end}
    return list(session.execute(_NEW_BATCHES, values).scalars())


def label_segments_since(session: ReadSession, model_id: int, after: datetime) -> list[str]:
    """Return the segments of labels that were made after a moment: they hold every later batch."""
    values = {"model_id": model_id, "after": after}
    return list(session.execute(_NEW_SEGMENTS, values).scalars())


def keep_loss_model(session: WriteSession, model: LossModel) -> None:
    """Write the loss model of a contract over the one before."""
    statement = insert(LossModel).values(model.model_dump())
    changed = {name: statement.excluded[name] for name in ("until", "rows", "body")}
    keys = ["model_id", "environment", "contract"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def find_loss_model(session: ReadSession, place: Place, contract: str) -> LossModel | None:
    """Return the loss model of a contract, if one was fitted."""
    return session.get(LossModel, (*place, contract))
