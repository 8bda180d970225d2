"""The statements of a change of deployment: few, built once, the same with 10,000 versions.

They are written over the tables and not over the classes, and built when this file is imported:
building them anew for every promote cost four times what PostgreSQL needs to run them. The largest
is text, because SQLAlchemy compiles anew, at each use, what holds a list of VALUES.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from mlreg.registry.domain.revisions import BRINGING
from mlreg.registry.store.pipeline import ask_together
from mlreg.registry.store.present import PRESENT_BY_NAME, present_of
from mlreg.registry.store.tables import METADATA, Revision

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.present import Present

_model = METADATA.tables["model"]
_environment = METADATA.tables["environment"]
_deployment = METADATA.tables["deployment"]
_revision = METADATA.tables["revision"]

_PLACE = (
    select(_model.c.id, _model.c.archived_at.is_not(None), _environment.c.name, _deployment.c.id)
    .select_from(_model)
    .outerjoin(_environment, _environment.c.name == bindparam("environment"))
    .outerjoin(
        _deployment,
        (_deployment.c.model_id == _model.c.id)
        & (_deployment.c.environment == bindparam("environment")),
    )
    .where(_model.c.name == bindparam("model"), _model.c.deleted_at.is_(None))
)
_LOCK = select(_deployment.c.id).where(_deployment.c.id == bindparam("key")).with_for_update()
_LOCK_PLACE = (
    select(
        _model.c.id,
        _model.c.archived_at.is_not(None),
        _deployment.c.environment,
        _deployment.c.id,
    )
    .select_from(_deployment)
    .join(_model, _model.c.id == _deployment.c.model_id)
    .where(
        _model.c.name == bindparam("model"),
        _model.c.deleted_at.is_(None),
        _deployment.c.environment == bindparam("environment"),
    )
    .with_for_update(of=_deployment)
)
_LOCK_MODEL = (
    select(_model.c.id).where(_model.c.id == bindparam("model_id")).with_for_update(key_share=True)
)
_CREATE = insert(_deployment).on_conflict_do_nothing()
_COLUMNS = tuple(column.name for column in _revision.columns)
_DOCUMENTS = ("candidates", "approvers")
_VALUES = (f"CAST(:{name} AS jsonb)" if name in _DOCUMENTS else f":{name}" for name in _COLUMNS)
_WRITE = f"""
    WITH appended AS (
        INSERT INTO revision ({", ".join(_COLUMNS)})
        VALUES ({", ".join(_VALUES)})
    ), moved AS (
        UPDATE deployment
        SET revision = :number, champion = :champion, frozen = :frozen, updated_at = :at
        WHERE id = :deployment_id
    ), told AS (
        INSERT INTO outbox_message (topic, body, created_at)
        VALUES (:topic, CAST(:event AS jsonb), :at)
    ), traced AS (
        INSERT INTO lineage_edge
            (source_kind, source, target_kind, target, model_id, created_at)
        SELECT source.kind, source.name, 'revision', :revision, deployment.model_id, :at
        FROM deployment
        JOIN (VALUES ('version', CAST(:served AS text)), ('decision', CAST(:judged AS text)))
            AS source (kind, name) ON source.name IS NOT NULL
        WHERE deployment.id = :deployment_id
    )
"""  # noqa: S608 - the names of our own columns
_KEEP = """, kept AS (
        INSERT INTO idempotency_key (actor, key, request_digest, status, body, created_at)
        VALUES (:by, :name, :request_digest, :status, :answer, :at)
    )
"""
_HINT = select(func.pg_notify(bindparam("channel"), bindparam("payload")))
_TELL = " SELECT pg_notify(:channel, :payload)"
_APPLY = text(_WRITE + _TELL)
_APPLY_KEYED = text(_WRITE + _KEEP + _TELL)
_ALSO = update(_deployment).where(_deployment.c.id == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment is, or would be."""

    model_id: int
    archived: bool
    environment: str | None
    deployment_id: int | None


def find_place(session: ReadSession, model: str, environment: str) -> Place | None:
    """Return the keys of a model and of an environment, and of their deployment; None: no model."""
    row = session.execute(_PLACE, {"model": model, "environment": environment}).first()
    return Place(*row) if row else None


def lock_place(session: WriteSession, model: str, environment: str) -> Place | None:
    """Lock a deployment until the transaction ends, and return its keys; None: there is none."""
    row = session.execute(_LOCK_PLACE, {"model": model, "environment": environment}).first()
    return Place(*row) if row else None


def lock_and_read(
    session: WriteSession,
    place: tuple[str, str],
    version: int | None,
    key: tuple[str, str] | None,
) -> Present | None:
    """Lock a deployment until the transaction ends, and return what it is; None: there is none.

    It is as `lock_place` and then `read_present`, in one round trip. What was made between the two
    is read but not locked, so it counts as not there.
    """
    named = {"model": place[0], "environment": place[1]}
    by, name = key or (None, None)
    locked, row = ask_together(
        session,
        (_LOCK_PLACE, named),
        (PRESENT_BY_NAME, {**named, "version": version, "by": by, "name": name}),
    )
    return None if locked is None or row is None else present_of(row)


def lock_row(session: WriteSession, deployment_id: int) -> None:
    """Lock a deployment until the transaction ends."""
    session.execute(_LOCK, {"key": deployment_id}).one()


def create_row(session: WriteSession, model_id: int, environment: str, now: datetime) -> None:
    """Make an empty deployment, unless somebody else has just done so.

    The model's row is locked first, as by who deletes it or a version of it: what they saw not to
    be in service cannot come into service meanwhile.
    """
    values = {
        "model_id": model_id,
        "environment": environment,
        "revision": 0,
        "frozen": False,
        "updated_at": now,
    }
    session.execute(_LOCK_MODEL, {"model_id": model_id})
    session.execute(_CREATE, values)


@dataclass(frozen=True, slots=True)
class Event:
    """What the outbox and the listeners are told of a change."""

    topic: str
    body: Mapping[str, object]
    channel: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to a request under a key, kept with the change that it is the answer to."""

    by: str
    name: str
    request_digest: str
    status: int
    answer: str


def add_revision(
    session: WriteSession, revision: Revision, event: Event, kept: KeptAnswer | None = None
) -> None:
    """Append a revision, make it the present one, leave its event and its answer: one statement.

    It is run at the end of the transaction, where it fails when the key was taken meanwhile, by a
    request about another deployment.
    """
    row = revision.model_dump()
    session.at_end(
        _APPLY if kept is None else _APPLY_KEYED,
        {
            **row,
            **{name: json.dumps(row[name]) for name in _DOCUMENTS},
            "topic": event.topic,
            "event": json.dumps(event.body),
            "channel": event.channel,
            "payload": str(revision.deployment_id),
            **_traces(revision, event),
            **({} if kept is None else asdict(kept)),
        },
    )


def _traces(revision: Revision, event: Event) -> dict[str, str | None]:
    """Return the arrows of lineage that lead to a revision; one that serves nothing new has none.

    In the graph a revision is called `model:environment/number`.
    """
    model, brings = event.body["model"], revision.cause in BRINGING
    served = None if revision.champion is None else f"{model}/{revision.champion}"
    judged = None if revision.decision_id is None else str(revision.decision_id)
    return {
        "revision": f"{model}:{event.body['environment']}/{revision.number}",
        "served": served if brings else None,
        "judged": judged if brings else None,
    }


def set_columns(session: WriteSession, deployment_id: int, columns: Mapping[str, object]) -> None:
    """Set what a change of a deployment changes besides."""
    session.execute(_ALSO.values(dict(columns)), {"key": deployment_id})


def notify(session: WriteSession, channel: str, payload: str = "") -> None:
    """Send a hint to listeners when, and only when, this transaction commits."""
    session.execute(_HINT, {"channel": channel, "payload": payload})
