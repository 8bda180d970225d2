"""The controller's tables.

What always holds:

- a batch is accepted once: (model, kind, batch id) is unique, and its bytes wait in `waiting_batch`
  until a drain has turned them into a segment; the row of `batch` stays;
- a firing is unique by (policy, fire_at), so that two controllers that tick do one thing;
- the effect of a job is committed only together with a check of its lease token;
- lease times are the database's own clock; every other time is business time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    octets,
    optional_document,
    optional_moment,
    text,
)
from mlreg.registry.store.tables import METADATA

__all__ = ["METADATA"]


def model_reference() -> Any:  # noqa: ANN401 - a SQLModel field has its attribute's type
    """A required reference to a model."""
    return Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False, index=True))


def optional_number() -> Any:  # noqa: ANN401 - as above
    """A 64-bit number of another noun (run, firing, job ...), or None."""
    return Field(default=None, sa_column=Column(BigInteger, nullable=True, index=True))


class Batch(SQLModel, table=True):
    """One accepted batch of predictions or labels; `segment` is None until it is drained."""

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("model_id", "kind", "batch_id"),
        Index("ix_batch_waiting", "model_id", "id", postgresql_where=sql("segment IS NULL")),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    kind: str
    batch_id: str
    digest: str
    rows: int
    received_at: datetime = moment()
    segment: str | None = None


class WaitingBatch(SQLModel, table=True):
    """The bytes (Arrow IPC stream) of a batch until it is drained.

    Partitioned by `slot`: a drained slot is emptied as a whole, never row by row.
    """

    __tablename__ = "waiting_batch"
    __table_args__ = {"postgresql_partition_by": "LIST (slot)"}

    batch: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: bytes = octets()


class WaitingSlot(SQLModel, table=True):
    """The one row that says which slot of `waiting_batch` takes new batches."""

    __tablename__ = "waiting_slot"

    id: int = Field(default=1, primary_key=True)
    slot: int = 0


class Segment(SQLModel, table=True):
    """One immutable Parquet blob of logged rows."""

    __tablename__ = "segment"
    __table_args__ = (Index("ix_segment_model_id_kind", "model_id", "kind", "start"),)

    digest: str = Field(primary_key=True)
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    kind: str
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    start: datetime = moment()
    end: datetime = moment()
    created_at: datetime = moment()


class Snapshot(SQLModel, table=True):
    """A frozen selection of data, named by the digest of its canonical manifest in `body`."""

    __tablename__ = "snapshot"

    digest: str = Field(primary_key=True)
    model_id: int = model_reference()
    body: str = text()
    start: datetime = moment()
    end: datetime = moment()
    created_at: datetime = moment()
    created_by: str


class WindowProfile(SQLModel, table=True):
    """The mergeable profile of one hour of logged predictions of one version under one contract."""

    __tablename__ = "window_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    contract: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    start: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: bytes = octets()


class ReferenceProfile(SQLModel, table=True):
    """The profile of a version's training rows, and the bins of its contract."""

    __tablename__ = "reference_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    version: int = Field(primary_key=True)
    contract: str
    body: bytes = octets()


class ContractBins(SQLModel, table=True):
    """The profile bins of a feature contract, made at its first training, never changed."""

    __tablename__ = "contract_bins"

    contract: str = Field(primary_key=True)
    body: bytes = octets()
    created_at: datetime = moment()


class Outage(SQLModel, table=True):
    """Hours whose at-risk features stood at their defaults: kept out of training and readings."""

    __tablename__ = "outage"
    __table_args__ = (UniqueConstraint("model_id", "start"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    start: datetime = moment()
    end: datetime = moment()
    features: list[str] = document()
    share: float
    incident_id: int | None = optional_number()


class Reading(SQLModel, table=True):
    """One value of one monitor for one window; `state` is final, immature, outage or empty."""

    __tablename__ = "reading"
    __table_args__ = (
        UniqueConstraint("model_id", "environment", "monitor", "subject", "start"),
        Index("ix_reading_recent", "model_id", "monitor", "end"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str
    monitor: str
    subject: str = ""
    start: datetime = moment()
    end: datetime = moment()
    value: float | None = None
    rows: int = 0
    state: str
    evidence: dict[str, Any] | None = optional_document()
    created_at: datetime = moment()


class Policy(SQLModel, table=True):
    """One version of the declared automation of a model in an environment; the newest counts."""

    __tablename__ = "policy"
    __table_args__ = (UniqueConstraint("model_id", "environment", "number"),)

    id: int | None = big_key()
    model_id: int = model_reference()
    environment: str = Field(foreign_key="environment.name")
    number: int
    source: str = text()
    body: dict[str, Any] = document()
    git: dict[str, Any] | None = optional_document()
    created_at: datetime = moment()
    created_by: str


class PolicyState(SQLModel, table=True):
    """What the controller remembers of a policy between two ticks."""

    __tablename__ = "policy_state"
    __table_args__ = (UniqueConstraint("model_id", "environment"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str
    policy_id: int = Field(sa_column=Column(BigInteger, ForeignKey("policy.id"), nullable=False))
    enabled: bool = True
    next_fire_at: datetime | None = optional_moment(index=True)
    evaluated_until: datetime | None = optional_moment()
    last_fired_at: datetime | None = optional_moment()
    memory: dict[str, Any] = document()


class Firing(SQLModel, table=True):
    """One recorded time that a trigger held, and what came of it."""

    __tablename__ = "firing"
    __table_args__ = (UniqueConstraint("policy_id", "fire_at"),)

    id: int | None = big_key()
    policy_id: int = Field(sa_column=Column(BigInteger, ForeignKey("policy.id"), nullable=False))
    model_id: int = model_reference()
    environment: str
    fire_at: datetime = moment()
    triggers: list[str] = document()
    readings: list[dict[str, Any]] = document()
    outcome: str
    created_at: datetime = moment()


class Run(SQLModel, table=True):
    """One retrain: queued, running, succeeded, failed, cancelled or dead."""

    __tablename__ = "run"

    id: int | None = big_key()
    model_id: int = model_reference()
    environment: str
    state: str
    lane: str
    trainer: str
    cause: str
    firing_id: int | None = optional_number()
    policy_id: int | None = optional_number()
    parent: int | None = None
    specification: dict[str, Any] = document()
    snapshot: str | None = None
    evaluate_snapshot: str | None = None
    version: int | None = None
    decision_id: int | None = optional_number()
    attempt: int = 0
    train_seconds: float | None = None
    error: str | None = None
    requested_by: str
    created_at: datetime = moment()
    started_at: datetime | None = optional_moment()
    ended_at: datetime | None = optional_moment()


class RunLog(SQLModel, table=True):
    """One line that a run's child process printed."""

    __tablename__ = "run_log"
    __table_args__ = (Index("ix_run_log_run_id", "run_id", "id"),)

    id: int | None = big_key()
    run_id: int = Field(sa_column=Column(BigInteger, ForeignKey("run.id"), nullable=False))
    attempt: int
    at: datetime = moment()
    line: str = text()


class Job(SQLModel, table=True):
    """A unit of work: queued, running, succeeded, failed, cancelled or dead."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_ready", "priority", "id", postgresql_where=sql("state = 'queued'")),
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
    """The controller's lease: alive until the database's clock says so; the epoch counts up."""

    __tablename__ = "leader"

    id: int = Field(default=1, primary_key=True)
    holder: str = ""
    epoch: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    until: datetime = moment()
    ticked_at: datetime | None = optional_moment()


class Incident(SQLModel, table=True):
    """An open problem of a deployment, from alarm to post-mortem."""

    __tablename__ = "incident"

    id: int | None = big_key()
    model_id: int = model_reference()
    environment: str
    kind: str
    title: str
    state: str = "open"
    opened_at: datetime = moment()
    closed_at: datetime | None = optional_moment()
    closed_by: str | None = None


class IncidentEntry(SQLModel, table=True):
    """One line of an incident's timeline."""

    __tablename__ = "incident_entry"

    id: int | None = big_key()
    incident_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("incident.id"), nullable=False, index=True)
    )
    at: datetime = moment()
    actor: str
    line: str = text()
    evidence: dict[str, Any] | None = optional_document()
