"""The statements of a change of deployment: few, built once, the same with 10,000 versions.

They are written over the tables and not over the classes, and built when this file is imported:
building them anew for every promote cost four times what PostgreSQL needs to run them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    Text,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    select,
    true,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from mlreg.registry.store.tables import METADATA, Revision

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

BRINGING = frozenset({"promote", "policy", "rollback", "guard"})
"""The causes that bring a champion; the others leave it."""

_model = METADATA.tables["model"]
_environment = METADATA.tables["environment"]
_deployment = METADATA.tables["deployment"]
_revision = METADATA.tables["revision"]
_version = METADATA.tables["version"]
_manifest = METADATA.tables["manifest"]
_blob = METADATA.tables["blob"]
_bar = METADATA.tables["version_bar"]
_decision = METADATA.tables["decision"]
_outbox = METADATA.tables["outbox_message"]
_edge = METADATA.tables["lineage_edge"]

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
_CREATE = insert(_deployment).on_conflict_do_nothing()
_JUDGED = (
    select(_decision.c.id, _decision.c.verdict)
    .where(
        _decision.c.model_id == bindparam("model_id"),
        _decision.c.environment == bindparam("environment"),
        _decision.c.challenger == bindparam("version"),
        _decision.c.champion.is_not_distinct_from(bindparam("champion")),
    )
    .order_by(_decision.c.id.desc())
    .limit(1)
    .subquery()
)
_FILE = func.jsonb_array_elements(cast(_manifest.c.body, JSONB)["files"]).column_valued("file")
_BLOB_STATES = (
    select(func.json_object_agg(_blob.c.digest, _blob.c.state))
    .where(_blob.c.digest.in_(select(_FILE.op("->>")("digest")).correlate(_manifest)))
    .correlate(_manifest)
    .scalar_subquery()
)
_CANDIDATE = (
    select(
        _version.c.manifest_digest,
        _version.c.flavour,
        _manifest.c.body,
        exists().where(
            _bar.c.deployment_id == bindparam("deployment_id"),
            _bar.c.version == bindparam("version"),
            _bar.c.lifted_at.is_(None),
        ),
        _JUDGED.c.verdict,
        _JUDGED.c.id,
        _BLOB_STATES,
        _version.c.archived_at.is_not(None) | _model.c.archived_at.is_not(None),
        _model.c.allows_unsafe,
    )
    .select_from(_version)
    .join(_model, _model.c.id == _version.c.model_id)
    .join(_manifest, _manifest.c.digest == _version.c.manifest_digest)
    .outerjoin(_JUDGED, true())
    .where(
        _version.c.model_id == bindparam("model_id"),
        _version.c.number == bindparam("version"),
        _version.c.deleted_at.is_(None),
        _model.c.deleted_at.is_(None),
    )
)
_MOVE = (
    update(_deployment)
    .where(_deployment.c.id == bindparam("deployment_id"))
    .values(
        revision=bindparam("number"),
        champion=bindparam("champion"),
        frozen=bindparam("frozen"),
        updated_at=bindparam("at"),
    )
)
_COLUMNS = tuple(column.name for column in _revision.columns)
_APPEND = insert(_revision).values(
    {name: bindparam(name, type_=_revision.c[name].type) for name in _COLUMNS}
)
_TELL = insert(_outbox).values(
    topic=bindparam("topic"),
    body=bindparam("event", type_=_outbox.c.body.type),
    created_at=bindparam("at"),
)
_SOURCE = values(column("kind", Text), column("name", Text), name="source").data(
    [
        ("version", bindparam("served", type_=Text)),
        ("decision", bindparam("judged", type_=Text)),
    ]
)
_TRACE = insert(_edge).from_select(
    ["source_kind", "source", "target_kind", "target", "model_id", "created_at"],
    select(
        _SOURCE.c.kind,
        _SOURCE.c.name,
        literal("revision"),
        bindparam("revision", type_=Text),
        _deployment.c.model_id,
        bindparam("at", type_=_revision.c.at.type),
    )
    .select_from(_deployment)
    .join(_SOURCE, _SOURCE.c.name.is_not(None))
    .where(_deployment.c.id == bindparam("deployment_id")),
)
_HINT = select(func.pg_notify(bindparam("channel"), bindparam("payload")))
_APPLY = _HINT.add_cte(
    _APPEND.cte("appended"), _MOVE.cte("moved"), _TELL.cte("told"), _TRACE.cte("traced")
)
_ALSO = update(_deployment).where(_deployment.c.id == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment is, or would be."""

    model_id: int
    archived: bool
    environment: str | None
    deployment_id: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a promote must know of a version.

    Attributes:
        manifest: the canonical JSON of its files.
        barred: a guard took it down in this deployment.
        verdict: of the newest decision on it against the present champion, or None.
        decision_id: of that decision.
        blob_states: of its files, by digest; a digest that is not a key is not known at all.
        archived: it, or its model, was archived.
        allows_unsafe: an admin lets this model serve formats that run code when they are loaded.
    """

    manifest_digest: str
    flavour: str
    manifest: str
    barred: bool
    verdict: str | None
    decision_id: int | None
    blob_states: Mapping[str, str] | None
    archived: bool = False
    allows_unsafe: bool = False

    def fault_of(self, digest: str) -> str | None:
        """Return why a file may not serve: its blob's state, or `missing`; None when verified."""
        state = (self.blob_states or {}).get(digest, "missing")
        return None if state == "verified" else state


def find_place(session: ReadSession, model: str, environment: str) -> Place | None:
    """Return the keys of a model and of an environment, and of their deployment; None: no model."""
    row = session.execute(_PLACE, {"model": model, "environment": environment}).first()
    return Place(*row) if row else None


def lock_place(session: WriteSession, model: str, environment: str) -> Place | None:
    """Lock a deployment until the transaction ends, and return its keys; None: there is none."""
    row = session.execute(_LOCK_PLACE, {"model": model, "environment": environment}).first()
    return Place(*row) if row else None


def lock_row(session: WriteSession, deployment_id: int) -> None:
    """Lock a deployment until the transaction ends."""
    session.execute(_LOCK, {"key": deployment_id}).one()


def create_row(session: WriteSession, model_id: int, environment: str, now: datetime) -> None:
    """Make an empty deployment, unless somebody else has just done so."""
    values = {
        "model_id": model_id,
        "environment": environment,
        "revision": 0,
        "frozen": False,
        "updated_at": now,
    }
    session.execute(_CREATE, values)


def find_candidate(
    session: ReadSession, place: Place, version: int, champion: int | None
) -> Candidate | None:
    """Return what a promote must know of a version in one query, or None when there is none."""
    row = session.execute(
        _CANDIDATE,
        {
            "model_id": place.model_id,
            "environment": place.environment,
            "deployment_id": place.deployment_id,
            "version": version,
            "champion": champion,
        },
    ).first()
    return Candidate(*row) if row else None


@dataclass(frozen=True, slots=True)
class Event:
    """What the outbox and the listeners are told of a change."""

    topic: str
    body: Mapping[str, object]
    channel: str


def add_revision(session: WriteSession, revision: Revision, event: Event) -> None:
    """Append a revision, make it the present one, and leave its event: one statement."""
    session.execute(
        _APPLY,
        {
            **revision.model_dump(),
            "topic": event.topic,
            "event": dict(event.body),
            "channel": event.channel,
            "payload": str(revision.deployment_id),
            **_traces(revision, event),
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
