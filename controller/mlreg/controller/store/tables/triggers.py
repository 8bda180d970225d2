"""The tables of triggers: what was found at each look, and what of other models is followed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import document


class TriggerRecord(SQLModel, table=True):
    """What the triggers of a policy were found to be at one look at them; kept for some months.

    One row for all of them: with one for each, ten thousand policies wrote for half a second.

    `found`: by trigger, in the order of the file: trigger (its name), holds, because, missing and
    readings.
    """

    __tablename__ = "trigger_record"
    __table_args__ = (Index("ix_trigger_record_moment", "moment", postgresql_using="brin"),)

    policy_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("policy.id"), primary_key=True, autoincrement=False)
    )
    moment: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    found: list[dict[str, Any]] = document()


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
