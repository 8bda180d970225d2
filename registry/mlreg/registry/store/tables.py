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
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    flag,
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
_IMPORTED = sql("import_digest IS NOT NULL")
_HIDDEN = sql("archived_at IS NOT NULL OR deleted_at IS NOT NULL")
_DELETED = sql("deleted_at IS NOT NULL AND purged_at IS NULL")


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
    allows_unsafe: bool = flag()
    archived_at: datetime | None = optional_moment()
    archived_by: str | None = None
    archived_reason: str | None = None
    deleted_at: datetime | None = optional_moment()
    deleted_by: str | None = None
    deleted_reason: str | None = None
    requires_signature: bool = flag()


class Contract(SQLModel, table=True):
    """A feature or target contract, stored once by the digest of its canonical JSON."""

    __tablename__ = "contract"

    digest: str = Field(primary_key=True)
    kind: str
    body: dict[str, Any] = document()


class Version(SQLModel, table=True):
    """One immutable trained model with its provenance."""

    __tablename__ = "version"
    __table_args__ = (
        Index("ix_version_created_at", "created_at"),
        Index("ix_version_manifest_digest", "manifest_digest"),
        Index("ix_version_import", "model_id", "import_digest", postgresql_where=_IMPORTED),
        Index("ix_version_deleted", "deleted_at", postgresql_where=_DELETED),
        Index("ix_version_hidden", "model_id", "number", postgresql_where=_HIDDEN),
    )

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
    data: list[dict[str, Any]] | None = optional_document()
    trained_by: str | None = None
    duration_seconds: float | None = None
    peak_memory_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    stage_digest: str | None = Field(default=None, foreign_key="manifest.digest")
    metrics: dict[str, Any] = document()
    tags: dict[str, Any] = document()
    missing: list[str] = document()
    train_start: datetime | None = optional_moment()
    train_end: datetime | None = optional_moment()
    description: str = ""
    created_at: datetime = moment()
    created_by: str
    archived_at: datetime | None = optional_moment()
    archived_by: str | None = None
    archived_reason: str | None = None
    deleted_at: datetime | None = optional_moment()
    deleted_by: str | None = None
    deleted_reason: str | None = None
    purged_at: datetime | None = optional_moment()
    imported_from: dict[str, Any] | None = optional_document()
    import_digest: str | None = None


class StageFile(SQLModel, table=True):
    """One file of the stage that trained a version, beside the model: code, a log, a curve.

    The names, sizes and digests of a version's stage are also a manifest, `version.stage_digest`;
    that digest owns the references (kind `stage`) which keep the blobs.
    """

    __tablename__ = "stage_file"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
    )

    model_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    number: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    kind: str
    digest: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))


class CardNote(SQLModel, table=True):
    """What a person wrote into the card of a model, or of one version; the newest note counts.

    Append-only: a note is amended by the next one, and an empty text takes it back.
    """

    __tablename__ = "card_note"
    __table_args__ = (Index("ix_card_note_model_id", "model_id", "id"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    number: int | None = None
    section: str
    text: str = text()
    at: datetime = moment()
    actor: str


class Blob(SQLModel, table=True):
    """One file by the sha256 of its bytes; state is verified, corrupt, condemned or deleting.

    `verified_at` is when its bytes were last hashed and found right; `fault` is what was found of a
    corrupt one, and `quarantine` where the store keeps its wrong bytes for who looks into it.
    """

    __tablename__ = "blob"
    __table_args__ = (Index("ix_blob_state_verified_at", "state", "verified_at"),)

    digest: str = Field(primary_key=True)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = "verified"
    created_at: datetime = moment()
    verified_at: datetime = moment()
    condemned_at: datetime | None = optional_moment()
    corrupt_at: datetime | None = optional_moment()
    fault: str | None = None
    quarantine: str | None = None


class BlobReference(SQLModel, table=True):
    """Who needs a blob: a manifest, a segment, a snapshot. No reference, no claim to be kept."""

    __tablename__ = "blob_reference"
    __table_args__ = (Index("ix_blob_reference_kind_owner", "kind", "owner"),)

    digest: str = Field(primary_key=True, foreign_key="blob.digest")
    kind: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)


class UploadSession(SQLModel, table=True):
    """Bytes on their way in; real times. The bytes lie in `uploads/<id>` of the store.

    `state` is open, uploaded (all bytes are there, not yet hashed by us), verified (a blob) or
    failed, with the code of its `problem`. `parts` names the pieces in their order; `multipart` is
    S3's own id instead, where the client writes there itself. `busy_by` verifies, under a lease.
    """

    __tablename__ = "upload_session"

    id: str = Field(primary_key=True)
    owner: str
    state: str = "open"
    received: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    size: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    digest: str | None = None
    parts: list[str] = document()
    multipart: str | None = None
    problem: str | None = None
    created_at: datetime = moment()
    expires_at: datetime = moment(index=True)
    busy_by: str | None = None
    busy_until: datetime | None = optional_moment()


class BlobReceipt(SQLModel, table=True):
    """Who brought the bytes of a blob, and so may register it without reading where it is used."""

    __tablename__ = "blob_receipt"

    digest: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    at: datetime = moment(index=True)


class SigningKey(SQLModel, table=True):
    """A public key that an admin trusts: `ed25519`, or `oms-key`, `oms-certificate` for bundles.

    The row stays when the key is removed, for what it signed refers to it. `models` is whose
    versions it may sign; None is every one.
    """

    __tablename__ = "signing_key"

    id: str = Field(primary_key=True)
    name: str = Field(max_length=63)
    kind: str
    public_key: str = text()
    models: list[str] | None = optional_document()
    created_at: datetime = moment()
    created_by: str
    removed_at: datetime | None = optional_moment()
    removed_by: str | None = None


class VersionSignature(SQLModel, table=True):
    """A signature that came with a version and verified; `kind` is dsse or oms."""

    __tablename__ = "version_signature"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
        Index("ix_version_signature_version", "model_id", "number"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    number: int
    kind: str
    key_id: str = Field(foreign_key="signing_key.id")
    body: str = text()
    created_at: datetime = moment()
    created_by: str


class Manifest(SQLModel, table=True):
    """A sorted list of (path, size, digest); its digest is that of its canonical JSON in `body`."""

    __tablename__ = "manifest"

    digest: str = Field(primary_key=True)
    body: str = text()
    total_size: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = moment()


class Attestation(SQLModel, table=True):
    """What somebody found out about a version, for ever: that it was rebuilt, and how alike."""

    __tablename__ = "attestation"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
        Index("ix_attestation_version", "model_id", "number", "id"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    number: int
    kind: str
    outcome: str
    body: dict[str, Any] = document()
    at: datetime = moment()
    actor: str


class SearchVersion(SQLModel, table=True):
    """A version's place in the order of registration, which is the order that a search answers in.

    The facts of a version that a search can ask for stand in `search_text` and `search_number`
    under this id; `store/search_index.py` writes them, and nothing else does. They have no foreign
    keys, whose checks would cost a registration more than the facts themselves.
    """

    __tablename__ = "search_version"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    number: int


class SearchText(SQLModel, table=True):
    """One text that is true of a version, e.g. (`tag.team`, `risk`); a key may have many.

    The primary key is the index that is searched, and the only one. `block` is the id without its
    last bits: a search goes block by block from the newest, so that a common value costs little.
    """

    __tablename__ = "search_text"

    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    block: int = Field(primary_key=True)
    value: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


class SearchNumber(SQLModel, table=True):
    """One number that is true of a version, e.g. (`metric.auc`, 0.81); moments are epoch seconds.

    The primary key is as that of `search_text`.
    """

    __tablename__ = "search_number"

    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    block: int = Field(primary_key=True)
    value: float = Field(primary_key=True)
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


class SearchMember(SQLModel, table=True):
    """What a set has: the features of a contract, the packages of an environment.

    Versions share sets, so a set's members are written once, and `search_text` says which sets a
    version has (`#features`, `#packages`). The id is the MD5 of what is in it.
    """

    __tablename__ = "search_member"

    kind: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    name: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    value: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    set_id: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))


class SearchSet(SQLModel, table=True):
    """A set whose members are known."""

    __tablename__ = "search_set"

    id: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))


class LineageEdge(SQLModel, table=True):
    """One arrow of the lineage graph, from what was used to what came of it.

    It belongs to the model whose record says so, and who may not read that model does not see it.
    """

    __tablename__ = "lineage_edge"
    __table_args__ = (
        Index("ix_lineage_edge_target", "target_kind", "target"),
        Index(
            "ix_lineage_edge_unexported",
            "created_at",
            "target_kind",
            "target",
            postgresql_where=sql("exported_at IS NULL"),
        ),
    )

    source_kind: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    target_kind: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    created_at: datetime = moment()
    exported_at: datetime | None = optional_moment()


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
    approvals_required: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default="0")
    )
    updated_at: datetime = moment()


class Revision(SQLModel, table=True):
    """One change of a deployment, for ever.

    `cause` is promote, rollback, guard, policy, freeze, unfreeze, fallback or protect;
    `ended_by_rollback` is never stored: it follows from the next revision's cause. `approvers` are
    those whose approval a promote stood on; `broke_glass` marks one that went without.
    """

    __tablename__ = "revision"
    __table_args__ = (Index("ix_revision_at", "deployment_id", "at", "number"),)

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
    approvers: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]")
    )
    broke_glass: bool = flag()
    at: datetime = moment()


class Approval(SQLModel, table=True):
    """One person's word on one version in one deployment: `approved` or `rejected`.

    It holds for these very bytes (`manifest_digest`), on this decision (`decision_id`, the newest
    on the version against the champion; None where there is none), while this champion serves
    (`reign`: the number of the revision that brought it). A later word of the same approver on the
    same version takes the place of the earlier, which is withdrawn.
    """

    __tablename__ = "approval"
    __table_args__ = (
        Index(
            "uq_approval_standing",
            "deployment_id",
            "version",
            "approver",
            unique=True,
            postgresql_where=sql("withdrawn_at IS NULL"),
        ),
    )

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False)
    )
    version: int
    manifest_digest: str
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    reign: int
    approver: str
    verdict: str
    reason: str = ""
    at: datetime = moment()
    withdrawn_at: datetime | None = optional_moment()
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None


class ApprovalRequest(SQLModel, table=True):
    """A promote that waits for approvals, bound as they are; the last one promotes.

    `cause` is promote or policy; `outcome` is promoted, refused or withdrawn once it has ended.
    """

    __tablename__ = "approval_request"
    __table_args__ = (
        Index(
            "uq_approval_request_open",
            "deployment_id",
            "version",
            unique=True,
            postgresql_where=sql("ended_at IS NULL"),
        ),
    )

    id: int | None = big_key()
    deployment_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("deployment.id"), nullable=False)
    )
    version: int
    manifest_digest: str
    decision_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("decision.id"), nullable=True)
    )
    reign: int
    cause: str
    requester: str
    requester_kind: str
    reason: str = ""
    at: datetime = moment()
    ended_at: datetime | None = optional_moment()
    outcome: str | None = None


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


class Checkpoint(SQLModel, table=True):
    """A signed statement of what the audit log was when it had `size` entries.

    `hashes` are the roots of the Merkle tree's full subtrees, from which the next one goes on.
    What counts is the copy outside this database; this one is to be handed out.
    """

    __tablename__ = "checkpoint"

    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    origin: str
    root: str
    note: str = text()
    verifier: str
    hashes: list[str] = document()
    at: datetime = moment()


class OutboxMessage(SQLModel, table=True):
    """An event of a committed change, to be delivered at least once.

    Written with the change; `seq`, its place in the order of delivery, is given after the commit
    (`id` is counted up before it, and two changes may commit the other way round). `sent_at` is
    when every webhook that asked for it had it, or had spent its attempts.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index("ix_outbox_message_unordered", "id", postgresql_where=sql("seq IS NULL")),
    )

    id: int | None = big_key()
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))
    topic: str
    body: dict[str, Any] = document()
    created_at: datetime = moment()
    sent_at: datetime | None = optional_moment(index=True)


class OutboxHead(SQLModel, table=True):
    """The last place in the order of delivery that was given; its row lock makes it an order."""

    __tablename__ = "outbox_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Webhook(SQLModel, table=True):
    """Where somebody wants to be told; `position` is the last event that was settled there.

    `secret` is kept as it is, for deliveries are signed with it.
    """

    __tablename__ = "webhook"

    id: int | None = big_key()
    name: str = Field(unique=True, max_length=63)
    url: str
    kind: str
    topics: list[str] = document()
    models: list[str] | None = optional_document()
    secret: str
    enabled: bool = True
    position: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempts: int = 0
    not_before: datetime | None = optional_moment()
    last_at: datetime | None = optional_moment()
    last_outcome: str | None = None
    created_at: datetime = moment()
    created_by: str


class WebhookDelivery(SQLModel, table=True):
    """What became of one event at one webhook: `delivered`, or `dead` after its last attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (Index("ix_webhook_delivery_webhook_id", "webhook_id", "id"),)

    id: int | None = big_key()
    webhook_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False)
    )
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    topic: str
    state: str
    attempts: int
    status: int | None = None
    error: str | None = None
    at: datetime = moment(index=True)


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
    models: list[str] | None = optional_document()
    expires_at: datetime | None = optional_moment(index=True)
    revoked_at: datetime | None = optional_moment()
    last_used_at: datetime | None = optional_moment()


class ModelGrant(SQLModel, table=True):
    """A further role of a principal (whoever bears tokens of that name), for one model."""

    __tablename__ = "model_grant"

    principal: str = Field(primary_key=True)
    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    role: str
    granted_by: str
    granted_at: datetime = moment()


class OidcIssuer(SQLModel, table=True):
    """An issuer whose ID tokens are exchanged for ours, and what such a token must claim."""

    __tablename__ = "oidc_issuer"

    name: str = Field(primary_key=True, max_length=63)
    issuer: str = Field(index=True)
    audience: str
    algorithms: list[str] = document()
    jwks_url: str | None = None
    private: bool = flag()
    claims: dict[str, Any] = document()
    role: str
    models: list[str] | None = optional_document()
    created_at: datetime = moment()
    created_by: str


class OidcJti(SQLModel, table=True):
    """An ID token that was exchanged; it is not taken twice while it would be valid."""

    __tablename__ = "oidc_jti"

    issuer: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires_at: datetime = moment(index=True)
