"""The tables of money and bounds: the budget of everything, and what attempts at runs cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Column, ForeignKey, Numeric
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import model_reference
from mlreg.registry.store.columns import big_key, moment


class OverallBudget(SQLModel, table=True):
    """What all policies together may spend; one row, None: no bound."""

    __tablename__ = "budget"

    id: int = Field(default=1, primary_key=True)
    runs_per_day: int | None = None
    runs_per_week: int | None = None
    train_seconds_per_day: float | None = None
    train_seconds_per_week: float | None = None


class Cost(SQLModel, table=True):
    """What one attempt at a run took, and cost: written at its end, however it ended.

    `seconds` are the worker's, `train_seconds` those that budgets count; `at` is real time.
    `price` and `amount` are None where the worker was told no price.
    """

    __tablename__ = "cost"

    id: int | None = big_key()
    run_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("run.id"), nullable=False, index=True)
    )
    model_id: int = model_reference()
    environment: str
    policy: bool
    attempt: int
    worker: str | None = None
    seconds: float
    train_seconds: float
    price: Decimal | None = Field(default=None, sa_column=Column(Numeric(18, 9), nullable=True))
    currency: str | None = None
    amount: Decimal | None = Field(default=None, sa_column=Column(Numeric(24, 9), nullable=True))
    at: datetime = moment(index=True)
