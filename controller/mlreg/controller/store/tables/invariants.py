"""The table of invariants: what was declared for a model, one row per change of the file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, UniqueConstraint
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import big_key, document, moment, text


class InvariantSet(SQLModel, table=True):
    """One version of what is declared to hold in a model's rows; the newest counts."""

    __tablename__ = "invariant_set"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    number: int
    source: str = text()
    body: list[dict[str, Any]] = document()
    created_at: datetime = moment()
    created_by: str
