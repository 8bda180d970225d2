"""The tables of the feedback log: batches, those that wait, segments and their end, snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference
from mlreg.registry.store.columns import (
    big_key,
    moment,
    octets,
    optional_document,
    optional_moment,
    text,
)


class Batch(SQLModel, table=True):
    """One accepted batch of predictions or labels; `segment` is None until it is drained.

    `carrier` is the number in `waiting_batch` of the bytes that hold its rows among those of other
    small requests; None where its bytes are its own, under its own number.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("model_id", "kind", "batch_id"),
        Index("ix_batch_waiting", "model_id", "id", postgresql_where=sql("segment IS NULL")),
        Index(
            "ix_batch_carried",
            "carrier",
            postgresql_where=sql("segment IS NULL AND carrier IS NOT NULL"),
        ),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    kind: str
    batch_id: str
    digest: str
    rows: int
    received_at: datetime = moment()
    segment: str | None = None
    carrier: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


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


class Retention(SQLModel, table=True):
    """How many days the logged rows of a model are kept; without a row: for ever."""

    __tablename__ = "retention"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    days: int
    set_at: datetime = moment()
    set_by: str


class Erasure(SQLModel, table=True):
    """One entity that is taken out of the log; its name stands here only until that is done.

    `report` is what was done, and what of the entity is left where (`domain/erasures.py`).
    """

    __tablename__ = "erasure"

    id: int | None = big_key()
    model_id: int = model_reference()
    entity: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    entity_digest: str
    reason: str = text()
    requested_by: str
    requested_at: datetime = moment()
    ended_at: datetime | None = optional_moment()
    predictions: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    labels: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    job_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    report: dict[str, Any] | None = optional_document()


class LostSegment(SQLModel, table=True):
    """A segment that is gone for good: erased or expired, with how many rows went, and when."""

    __tablename__ = "lost_segment"

    digest: str = Field(primary_key=True)
    model_id: int = model_reference()
    cause: str
    erasure_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, ForeignKey("erasure.id"), nullable=True)
    )
    replaced_by: str | None = None
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()


class Snapshot(SQLModel, table=True):
    """A frozen selection of data, named by the digest of its canonical manifest in `body`.

    `serial` counts up within the model, in the order in which snapshots were committed.
    """

    __tablename__ = "snapshot"

    digest: str = Field(primary_key=True)
    model_id: int = model_reference()
    serial: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: str = text()
    start: datetime = moment()
    end: datetime = moment()
    created_at: datetime = moment()
    created_by: str


class SnapshotCount(SQLModel, table=True):
    """How many snapshots of a model there ever were; its row's lock puts them in their order."""

    __tablename__ = "snapshot_count"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    last: int = Field(sa_column=Column(BigInteger, nullable=False))
