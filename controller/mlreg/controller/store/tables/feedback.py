"""The tables of the feedback log: batches, those that wait, segments, snapshots."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference
from mlreg.registry.store.columns import big_key, moment, octets, text


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
