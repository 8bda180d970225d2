"""The audit log: its entries, its head, its signed checkpoints."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
)
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    document,
    moment,
    text,
)


class AuditEntry(SQLModel, table=True):
    """One link of the hash chain; `body` is canonical JSON (RFC 8785), byte for byte as hashed."""

    __tablename__ = "audit_entry"

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    format: int = 1
    at: datetime = moment()
    actor: str
    action: str = Field(index=True)
    subject: str = Field(index=True)
    body: str = text()
    previous: str
    digest: str


class AuditHead(SQLModel, table=True):
    """The newest link; its row lock gives entries the order of their commits."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    digest: str


class Checkpoint(SQLModel, table=True):
    """A signed statement of what the audit log was when it had `size` entries.

    `hashes` are the roots of the Merkle tree's full subtrees, from which the next one goes on.
    What counts is the copy outside this database; this one is to be handed out.
    """

    __tablename__ = "checkpoint"

    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    origin: str
    root: str
    note: str = text()
    verifier: str
    hashes: list[str] = document()
    at: datetime = moment()
