"""Queries of the checkpoints, and of the digests that they are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.registry.store.tables import METADATA, AuditHead, Checkpoint, Installation

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession, WriteSession

_ADD = insert(METADATA.tables["checkpoint"]).on_conflict_do_nothing()
_ENTRIES = text("SELECT seq FROM audit_head")
_UNSIGNED = text("SELECT (SELECT seq FROM audit_head) - coalesce(max(size), 0) FROM checkpoint")
_DIGEST = text("SELECT digest FROM audit_entry WHERE seq = :seq").bindparams(bindparam("seq"))


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A row to be added."""

    size: int
    origin: str
    root: str
    note: str
    verifier: str
    hashes: list[str]
    at: datetime


def find_newest(session: ReadSession) -> Checkpoint | None:
    """Return the checkpoint of the most entries."""
    return session.exec(select(Checkpoint).order_by(col(Checkpoint.size).desc()).limit(1)).first()


def find_newest_note(session: ReadSession) -> str | None:
    """Return the newest checkpoint as it was signed."""
    newest = select(Checkpoint.note).order_by(col(Checkpoint.size).desc()).limit(1)
    return session.exec(newest).first()


def find_of_size(session: ReadSession, size: int) -> Checkpoint | None:
    """Return the checkpoint of exactly so many entries."""
    return session.get(Checkpoint, size)


def add(session: WriteSession, checkpoint: NewCheckpoint) -> None:
    """Add a checkpoint, unless there is one of that size."""
    session.execute(_ADD, asdict(checkpoint))


def head_of_log(session: ReadSession) -> tuple[int, str]:
    """Return number and digest of the newest entry."""
    return session.exec(select(AuditHead.seq, AuditHead.digest)).one()


def digest_of_entry(session: ReadSession, seq: int) -> str | None:
    """Return the digest of one entry."""
    found: str | None = session.execute(_DIGEST, {"seq": seq}).scalar_one_or_none()
    return found


def incarnation(session: ReadSession) -> str:
    """Return the installation's name for itself; a restored one has a new one."""
    return session.exec(select(Installation.incarnation)).one()


def count_unsigned(session: ReadSession) -> int:
    """Return how many entries are after the newest checkpoint."""
    return int(session.execute(_UNSIGNED).scalar_one())
