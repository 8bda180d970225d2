"""The tables of policies: what was declared, what is remembered, what fired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference
from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_document,
    optional_moment,
    text,
)


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
    __table_args__ = (
        UniqueConstraint("model_id", "environment"),
        Index(
            "ix_policy_state_waiting",
            "id",
            postgresql_where=sql("memory #>> '{waiting,why}' IN ('busy', 'frozen')"),
        ),
    )

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
