"""Blobs, who needs them, the uploads on their way, and who signed what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
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


class Manifest(SQLModel, table=True):
    """A sorted list of (path, size, digest); its digest is that of its canonical JSON in `body`."""

    __tablename__ = "manifest"

    digest: str = Field(primary_key=True)
    body: str = text()
    total_size: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = moment()


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
