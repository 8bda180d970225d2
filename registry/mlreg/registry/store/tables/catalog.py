"""Models and versions, and the installation and environments they live in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
)
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    flag,
    moment,
    optional_document,
    optional_moment,
)

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
