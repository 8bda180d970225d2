"""The registry's tables.

What always holds:

- a `version` row exists only if every blob of its manifest is `verified`;
- `version.number` counts up per model and is never reused (`model.last_version` is the counter);
- `revision` and `audit_entry` rows are only ever inserted;
- `deployment.revision` is the number of its newest `revision` row, and changes only with it;
- `audit_head` is locked last in every transaction that writes an audit entry.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_document,
    optional_moment,
    text,
)

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: MetaData = SQLModel.metadata


class Installation(SQLModel, table=True):
    """The one row that says which installation this database is, and which time it lives in."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: int = Field(default=1, primary_key=True)
    incarnation: str
    created_at: datetime = moment()
    mode: str
    virtual_now: datetime | None = optional_moment()
    ever_virtual: bool = False


class Environment(SQLModel, table=True):
    """A declared place to deploy to; `production` is there from the first migration."""

    __tablename__ = "environment"

    name: str = Field(primary_key=True, max_length=63)
    created_at: datetime = moment()


class Model(SQLModel, table=True):
    """A named prediction task."""

    __tablename__ = "model"

    id: int | None = big_key()
    name: str = Field(unique=True, max_length=63)
    task: str
    description: str = ""
    target_contract: dict[str, Any] = document()
    feature_schema: list[dict[str, Any]] | None = optional_document()
    last_version: int = 0
    created_at: datetime = moment()
    created_by: str
    archived_at: datetime | None = optional_moment()
    archived_reason: str | None = None


class Contract(SQLModel, table=True):
    """A feature or target contract, stored once by the digest of its canonical JSON."""

    __tablename__ = "contract"

    digest: str = Field(primary_key=True)
    kind: str
    body: dict[str, Any] = document()


class Version(SQLModel, table=True):
    """One immutable trained model with its provenance."""

    __tablename__ = "version"
    __table_args__ = (Index("ix_version_created_at", "created_at"),)

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    number: int = Field(primary_key=True)
    manifest_digest: str = Field(foreign_key="manifest.digest")
    flavour: str
    lane: str | None = None
    trainer: str | None = None
    parent: int | None = None
    run_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    git: dict[str, Any] | None = optional_document()
    snapshots: list[str] | None = optional_document()
    feature_contract: str | None = Field(default=None, foreign_key="contract.digest")
    hyperparameters: dict[str, Any] | None = optional_document()
    seeds: dict[str, Any] | None = optional_document()
    environment: dict[str, Any] | None = optional_document()
    metrics: dict[str, Any] = document()
    tags: dict[str, Any] = document()
    missing: list[str] = document()
    train_start: datetime | None = optional_moment()
    train_end: datetime | None = optional_moment()
    description: str = ""
    created_at: datetime = moment()
    created_by: str


class Blob(SQLModel, table=True):
    """One file by the sha256 of its bytes; state is verified, corrupt, condemned or deleting."""

    __tablename__ = "blob"

    digest: str = Field(primary_key=True)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = "verified"
    created_at: datetime = moment()
    verified_at: datetime = moment()
    condemned_at: datetime | None = optional_moment()


class BlobReference(SQLModel, table=True):
    """Who needs a blob: a manifest, a segment, a snapshot. No reference, no claim to be kept."""

    __tablename__ = "blob_reference"

    digest: str = Field(primary_key=True, foreign_key="blob.digest")
    kind: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)


class Manifest(SQLModel, table=True):
    """A sorted list of (path, size, digest); its digest is that of its canonical JSON in `body`."""

    __tablename__ = "manifest"

    digest: str = Field(primary_key=True)
    body: str = text()
    total_size: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = moment()


class LineageEdge(SQLModel, table=True):
    """One arrow of the lineage graph, from what was used to what came of it."""

    __tablename__ = "lineage_edge"
    __table_args__ = (Index("ix_lineage_edge_target", "target_kind", "target"),)

    source_kind: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    target_kind: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    created_at: datetime = moment()


class Deployment(SQLModel, table=True):
    """What serves a model in an environment: the newest revision's content, under a row lock."""

    __tablename__ = "deployment"
    __table_args__ = (
        UniqueConstraint("model_id", "environment"),
        ForeignKeyConstraint(["model_id", "champion"], ["version.model_id", "version.number"]),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str = Field(foreign_key="environment.name")
    revision: int = 0
    champion: int | None = None
    frozen: bool = False
    frozen_reason: str | None = None
    cooldown_until: datetime | None = optional_moment()
    updated_at: datetime = moment()


class Revision(SQLModel, table=True):
    """One change of a deployment, for ever.

    `cause` is promote, rollback, guard, policy, freeze, unfreeze or fallback; `ended_by_rollback`
    is never stored: it follows from the next revision's cause.
    """

    __tablename__ = "revision"

    deployment_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("deployment.id"), primary_key=True, autoincrement=False
        )
    )
    number: int = Field(primary_key=True)
    champion: int | None = None
    candidates: list[dict[str, Any]] = document()
    fallback: str | None = None
    frozen: bool = False
    cause: str
    actor: str
    reason: str = ""
    forced: bool = False
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    at: datetime = moment()


class VersionBar(SQLModel, table=True):
    """`do-not-promote`: a version that a guard took down here, until a person lifts the bar."""

    __tablename__ = "version_bar"

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False, index=True)
    )
    version: int
    reason: str
    actor: str
    at: datetime = moment()
    lifted_at: datetime | None = optional_moment()
    lifted_by: str | None = None


class Acknowledgement(SQLModel, table=True):
    """The revision that one scorer or client says it serves."""

    __tablename__ = "acknowledgement"

    deployment_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("deployment.id"), primary_key=True, autoincrement=False
        )
    )
    client: str = Field(primary_key=True)
    revision: int
    at: datetime = moment()


class Decision(SQLModel, table=True):
    """The verdict on a challenger with all its evidence; the controller writes it."""

    __tablename__ = "decision"
    __table_args__ = (
        Index("ix_decision_model_id_environment", "model_id", "environment", "id"),
        Index("ix_decision_challenger", "model_id", "challenger", "id"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str = Field(foreign_key="environment.name")
    challenger: int
    champion: int | None = None
    anchor: int | None = None
    verdict: str
    superior: bool = False
    evidence: dict[str, Any] = document()
    snapshot: str | None = None
    run_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    created_at: datetime = moment()
    created_by: str


class AuditEntry(SQLModel, table=True):
    """One link of the hash chain; `body` is canonical JSON (RFC 8785), byte for byte as hashed."""

    __tablename__ = "audit_entry"

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    format: int = 1
    at: datetime = moment()
    actor: str
    action: str = Field(index=True)
    subject: str = Field(index=True)
    body: str = text()
    previous: str
    digest: str


class AuditHead(SQLModel, table=True):
    """The newest link; its row lock gives entries the order of their commits."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    digest: str


class IdempotencyKey(SQLModel, table=True):
    """The answer already given to (actor, key), so that a retry repeats the answer, not the act."""

    __tablename__ = "idempotency_key"

    actor: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    status: int
    body: str = text()
    created_at: datetime = moment(index=True)


class OutboxMessage(SQLModel, table=True):
    """An event of a committed change, to be delivered at least once.

    Written with the change from the first one on, so that none is ever missing; nothing reads them
    yet (clients are told by NOTIFY), and `sent_at` stays empty until notifications are delivered.
    """

    __tablename__ = "outbox_message"

    id: int | None = big_key()
    topic: str
    body: dict[str, Any] = document()
    created_at: datetime = moment()
    sent_at: datetime | None = optional_moment(index=True)


class Token(SQLModel, table=True):
    """A bearer token by its id; only the SHA-256 of the whole token is kept."""

    __tablename__ = "token"

    id: str = Field(primary_key=True)
    kind: str
    name: str
    role: str
    digest: str
    created_at: datetime = moment()
    created_by: str
    expires_at: datetime | None = optional_moment()
    revoked_at: datetime | None = optional_moment()
    last_used_at: datetime | None = optional_moment()
