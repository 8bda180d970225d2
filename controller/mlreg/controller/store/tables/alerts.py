"""The tables of alerts and what happened to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference, optional_number
from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_document,
    optional_moment,
    text,
)

LIVE = "state IN ('pending', 'open')"


class Alert(SQLModel, table=True):
    """One cause that is watched (`pending`), told of (`open`), or over (`resolved`, `closed`).

    `culprits` are its things, the strongest first; `memory` is what its state machine remembers.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "uq_alert_cause",
            "model_id",
            "environment",
            "kind",
            "subject",
            unique=True,
            postgresql_where=sql(LIVE),
        ),
        Index("ix_alert_remind_at", "remind_at", postgresql_where=sql("state = 'open'")),
    )

    id: int | None = big_key()
    model_id: int = model_reference()
    environment: str
    kind: str
    subject: str = ""
    title: str = text()
    severity: str
    state: str
    culprits: list[str] = document()
    memory: dict[str, Any] = document()
    created_at: datetime = moment()
    opened_at: datetime | None = optional_moment()
    ended_at: datetime | None = optional_moment()
    told_at: datetime | None = optional_moment()
    remind_at: datetime | None = optional_moment()
    snoozed_until: datetime | None = optional_moment()
    incident_id: int | None = optional_number()


class AlertEntry(SQLModel, table=True):
    """One thing that happened to an alert; `topic` is the event that others were told of it by."""

    __tablename__ = "alert_entry"

    id: int | None = big_key()
    alert_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("alert.id"), nullable=False, index=True)
    )
    at: datetime = moment()
    actor: str
    what: str
    line: str = text()
    topic: str | None = None
    readings: list[dict[str, Any]] | None = optional_document()
    count: int = Field(default=0, sa_column=Column(Integer, nullable=False))
