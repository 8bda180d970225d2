"""The tables of readings, and of what they are made from besides profiles of predictions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import big_key, document, moment, octets, optional_document


class Reading(SQLModel, table=True):
    """One value of one monitor for one window.

    `state` is final, immature, estimate, outage or empty; `low` and `high` are a 95 % confidence
    interval, where there is one; `verdict` is normal, unusual, or None where nobody judged.
    """

    __tablename__ = "reading"
    __table_args__ = (
        UniqueConstraint("model_id", "environment", "monitor", "subject", "start"),
        Index("ix_reading_recent", "model_id", "monitor", "end"),
        Index("ix_reading_window", "model_id", "environment", "start"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str
    monitor: str
    subject: str = ""
    start: datetime = moment()
    end: datetime = moment()
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    state: str
    verdict: str | None = None
    evidence: dict[str, Any] | None = optional_document()
    created_at: datetime = moment()


class LabelProfile(SQLModel, table=True):
    """What the labels of a window say, small enough to be merged: delays, outcomes by score."""

    __tablename__ = "label_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    environment: str = Field(primary_key=True)
    start: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    end: datetime = moment()
    labels_until: datetime = moment()
    state: str
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    labelled: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: dict[str, Any] = document()


class LossModel(SQLModel, table=True):
    """What is expected of the errors of a contract's models, by what its profiles show."""

    __tablename__ = "loss_model"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    environment: str = Field(primary_key=True)
    contract: str = Field(primary_key=True)
    until: datetime = moment()
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: bytes = octets()


class BusinessValue(SQLModel, table=True):
    """One value of a series that a user posts, once by its key."""

    __tablename__ = "business_value"
    __table_args__ = (
        UniqueConstraint("model_id", "environment", "name", "key"),
        Index("ix_business_value_at", "model_id", "environment", "at"),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str
    name: str
    key: str
    at: datetime = moment()
    value: float
    posted_at: datetime = moment()
    posted_by: str
