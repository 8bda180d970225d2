"""The table of users' files that were hashed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import moment


class SourceFile(SQLModel, table=True):
    """The digest that a user's file had in a state of it; only saves hashing it again."""

    __tablename__ = "source_file"

    url: str = Field(primary_key=True)
    state: str
    digest: str
    seen_at: datetime = moment()
