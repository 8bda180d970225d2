"""The tables of work: jobs, chores, who leads, and which processes say that they are there."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Numeric
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
    """A unit of work: queued, running, succeeded, failed, cancelled or dead.

    `turn` makes models take turns; `held` says what a queued job waits for beside a worker, until
    `held_until` (business time) or `not_before` (real time); neither: until that ends or is
    changed. `price` is what a second of the worker cost that claimed it.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "ix_job_ready",
            "priority",
            "turn",
            "id",
            postgresql_where=sql("state = 'queued' AND held IS NULL"),
        ),
        Index(
            "ix_job_turn", "model_id", "priority", "turn", postgresql_where=sql("state = 'queued'")
        ),
        Index("ix_job_held", "id", postgresql_where=sql("state = 'queued' AND held IS NOT NULL")),
        Index("ix_job_key", "dedupe_key", postgresql_where=sql("dedupe_key IS NOT NULL")),
        Index("ix_job_ended", "ended_at", postgresql_where=sql("ended_at IS NOT NULL")),
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
    label: str | None = None
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
    model_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    turn: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    held: str | None = None
    held_until: datetime | None = optional_moment()
    started_at: datetime | None = optional_moment()
    price: Decimal | None = Field(default=None, sa_column=Column(Numeric(18, 9), nullable=True))
    currency: str | None = None


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


class Member(SQLModel, table=True):
    """A controller or a worker that says, again and again, that it is there.

    It is there while the database's clock has not passed `until`.
    """

    __tablename__ = "member"

    name: str = Field(primary_key=True)
    role: str
    host: str
    version: str
    labels: list[str] = document()
    kinds: list[str] = document()
    declined: list[int] = document()
    since: datetime = moment()
    seen_at: datetime = moment()
    until: datetime = moment()
