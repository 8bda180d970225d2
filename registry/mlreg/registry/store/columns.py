"""Column kinds that every table of mlreg uses, and how its constraints are named.

The names are set here, for every file of tables imports this one before it makes its first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, LargeBinary, Text, false
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

if TYPE_CHECKING:
    from sqlalchemy import MetaData

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: MetaData = SQLModel.metadata


def big_key() -> Any:  # noqa: ANN401 - a SQLModel field has the type of the attribute it stands for
    """A 64-bit primary key that PostgreSQL counts up; None until the row is flushed."""
    return Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))


def moment(*, index: bool = False) -> Any:  # noqa: ANN401 - as above
    """A required point in time with its zone."""
    return Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=index))


def optional_moment(*, index: bool = False) -> Any:  # noqa: ANN401 - as above
    """A point in time with its zone, or None."""
    return Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=True, index=index)
    )


def document() -> Any:  # noqa: ANN401 - as above
    """A required JSON document (JSONB)."""
    return Field(sa_column=Column(JSONB, nullable=False))


def optional_document() -> Any:  # noqa: ANN401 - as above
    """A JSON document (JSONB), or None."""
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


def text(*, default: str | None = None) -> Any:  # noqa: ANN401 - as above
    """A required text of any length, byte for byte as it was written."""
    if default is None:
        return Field(sa_column=Column(Text, nullable=False))
    return Field(default=default, sa_column=Column(Text, nullable=False, server_default=default))


def octets() -> Any:  # noqa: ANN401 - as above
    """Required bytes."""
    return Field(sa_column=Column(LargeBinary, nullable=False))


def flag() -> Any:  # noqa: ANN401 - as above
    """Yes or no; rows that were there before the column say no."""
    return Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
