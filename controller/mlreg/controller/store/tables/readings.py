"""The table of readings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import big_key, moment, optional_document


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
