"""The tables of incidents and their timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference
from mlreg.registry.store.columns import big_key, moment, optional_document, optional_moment, text


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
