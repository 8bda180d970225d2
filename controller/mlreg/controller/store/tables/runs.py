"""The tables of runs, what they printed, and how older versions did on the rows of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference, optional_number
from mlreg.registry.store.columns import big_key, document, moment, optional_moment, text


class Run(SQLModel, table=True):
    """One retrain: queued, running, succeeded, failed, cancelled or dead.

    `granted_seconds` is what the budgets left it to train, while it runs.
    """

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_place", "model_id", "environment", "created_at"),)

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
    granted_seconds: float | None = None
    error: str | None = None
    requested_by: str
    created_at: datetime = moment()
    started_at: datetime | None = optional_moment(index=True)
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


class VersionMetrics(SQLModel, table=True):
    """How a version did on the rows of a snapshot."""

    __tablename__ = "version_metrics"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    version: int = Field(primary_key=True)
    snapshot: str = Field(primary_key=True)
    metrics: dict[str, Any] = document()
    created_at: datetime = moment()
