"""The tables of work: jobs, chores and who leads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_document,
    optional_moment,
)


class Job(SQLModel, table=True):
    """A unit of work: queued, running, succeeded, failed, cancelled or dead."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_ready", "priority", "id", postgresql_where=sql("state = 'queued'")),
        Index(
            "ix_job_names_rows",
            "kind",
            "id",
            postgresql_where=sql("kind IN ('explain', 'parity', 'check')"),
        ),
        Index("ix_job_lease", "lease_until", postgresql_where=sql("state = 'running'")),
        Index(
            "uq_job_dedupe_key",
            "dedupe_key",
            unique=True,
            postgresql_where=sql("state IN ('queued', 'running')"),
        ),
        Index(
            "uq_job_lock_key",
            "lock_key",
            unique=True,
            postgresql_where=sql("state = 'running'"),
        ),
    )

    id: int | None = big_key()
    kind: str
    payload: dict[str, Any] = document()
    state: str = "queued"
    priority: int = 100
    dedupe_key: str | None = None
    lock_key: str | None = None
    attempt: int = 0
    max_attempts: int = 3
    lease_token: str | None = None
    lease_until: datetime | None = optional_moment()
    worker: str | None = None
    error: str | None = None
    outcome: dict[str, Any] | None = optional_document()
    enqueued_at: datetime = moment()
    not_before: datetime | None = optional_moment()
    ended_at: datetime | None = optional_moment()


class Chore(SQLModel, table=True):
    """When a chore was last started (real time), and what came of it."""

    __tablename__ = "chore"

    name: str = Field(primary_key=True)
    last_at: datetime = moment()
    outcome: str | None = None


class Leader(SQLModel, table=True):
    """The controller's lease: alive until the database's clock says so; the epoch counts up.

    `alarmed_at` is when somebody was told that it does not tick; `alarm_until` is the time that an
    API process has to tell them.
    """

    __tablename__ = "leader"

    id: int = Field(default=1, primary_key=True)
    holder: str = ""
    epoch: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    until: datetime = moment()
    ticked_at: datetime | None = optional_moment()
    alarm_until: datetime | None = optional_moment()
    alarmed_at: datetime | None = optional_moment()
