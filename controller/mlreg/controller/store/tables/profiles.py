"""The tables of profiles: windows, references, the bins of contracts, outages, late hours."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from mlreg.controller.store.columns import optional_number
from mlreg.registry.store.columns import big_key, document, moment, octets


class WindowProfile(SQLModel, table=True):
    """The mergeable profile of one hour of logged predictions of one version under one contract."""

    __tablename__ = "window_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    contract: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    start: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: bytes = octets()


class RolledProfile(SQLModel, table=True):
    """The profile of a whole day or week (`width`), the merge of its hours."""

    __tablename__ = "rolled_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    contract: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    width: str = Field(primary_key=True)
    start: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: bytes = octets()


class ReferenceProfile(SQLModel, table=True):
    """The profile of a version's training rows, and of their labels, under its contract's bins.

    `source` says which rows they are: `training`, the `snapshot` that a registration by hand names,
    or, where that cannot be read, the first rows of the `log`.
    """

    __tablename__ = "reference_profile"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    version: int = Field(primary_key=True)
    contract: str
    body: bytes = octets()
    source: str = "training"
    labels: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class ContractBins(SQLModel, table=True):
    """The profile bins of a feature contract, made at its first training, never changed."""

    __tablename__ = "contract_bins"

    contract: str = Field(primary_key=True)
    body: bytes = octets()
    created_at: datetime = moment()


class Outage(SQLModel, table=True):
    """Hours whose at-risk features stood at their defaults: kept out of training and readings."""

    __tablename__ = "outage"
    __table_args__ = (UniqueConstraint("model_id", "start"),)

    id: int | None = big_key()
    model_id: int = Field(sa_column=Column(BigInteger, ForeignKey("model.id"), nullable=False))
    start: datetime = moment()
    end: datetime = moment()
    features: list[str] = document()
    share: float
    incident_id: int | None = optional_number()


class LateHour(SQLModel, table=True):
    """A past hour that a drain has just added rows to: its window may have to be read again.

    It stands here until the controller has looked, of each environment that has a policy.
    """

    __tablename__ = "late_hour"

    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    environment: str = Field(primary_key=True)
    start: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
