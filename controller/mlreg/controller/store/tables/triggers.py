"""The tables of triggers: what was found at each look, and what of other models is followed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import document, text


class TriggerRecord(SQLModel, table=True):
    """What one trigger of a policy was found to be at one moment; kept for some months."""

    __tablename__ = "trigger_record"
    __table_args__ = (Index("ix_trigger_record_moment", "moment", postgresql_using="brin"),)

    policy_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("policy.id"), primary_key=True, autoincrement=False)
    )
    moment: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    trigger: str = Field(primary_key=True)
    holds: bool
    because: str = text()
    missing: str = text()
    readings: list[dict[str, Any]] = document()


class PolicyUpstream(SQLModel, table=True):
    """What a policy follows of another model: its champion, its versions or its snapshots.

    `woken` is the newest serial number for which the policy was told to look; which events its
    trigger has been shown stands in the policy's memory.
    """

    __tablename__ = "policy_upstream"

    state_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("policy_state.id"), primary_key=True, autoincrement=False
        )
    )
    source: str = Field(primary_key=True)
    what: str
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    environment: str
    woken: int = Field(sa_column=Column(BigInteger, nullable=False))
