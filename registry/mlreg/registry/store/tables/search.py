"""The facts that a search looks into."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
)


class SearchVersion(SQLModel, table=True):
    """A version's place in the order of registration, which is the order that a search answers in.

    The facts of a version that a search can ask for stand in `search_text` and `search_number`
    under this id; `store/search_index.py` writes them, and nothing else does. They have no foreign
    keys, whose checks would cost a registration more than the facts themselves.
    """

    __tablename__ = "search_version"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        ForeignKeyConstraint(["model_id", "number"], ["version.model_id", "version.number"]),
    )

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    number: int


class SearchText(SQLModel, table=True):
    """One text that is true of a version, e.g. (`tag.team`, `risk`); a key may have many.

    The primary key is the index that is searched, and the only one. `block` is the id without its
    last bits: a search goes block by block from the newest, so that a common value costs little.
    """

    __tablename__ = "search_text"

    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    block: int = Field(primary_key=True)
    value: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


class SearchNumber(SQLModel, table=True):
    """One number that is true of a version, e.g. (`metric.auc`, 0.81); moments are epoch seconds.

    The primary key is as that of `search_text`.
    """

    __tablename__ = "search_number"

    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    block: int = Field(primary_key=True)
    value: float = Field(primary_key=True)
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


class SearchMember(SQLModel, table=True):
    """What a set has: the features of a contract, the packages of an environment.

    Versions share sets, so a set's members are written once, and `search_text` says which sets a
    version has (`#features`, `#packages`). The id is the MD5 of what is in it.
    """

    __tablename__ = "search_member"

    kind: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    name: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    value: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    set_id: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))


class SearchSet(SQLModel, table=True):
    """A set whose members are known."""

    __tablename__ = "search_set"

    id: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
