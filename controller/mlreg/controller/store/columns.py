"""Columns that the controller's tables share, beside those of the registry."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey
from sqlmodel import Field


def model_reference() -> Any:  # noqa: ANN401 - a SQLModel field has its attribute's type
    """A required reference to a model."""
    return Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False, index=True))


def optional_number() -> Any:  # noqa: ANN401 - as above
    """A 64-bit number of another noun (run, firing, job ...), or None."""
    return Field(default=None, sa_column=Column(BigInteger, nullable=True, index=True))
