"""Queries of blobs and of who needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import String, any_, case, literal, or_, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, select

from mlreg.registry.store.tables import Blob

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from mlreg.registry.store.database import ReadSession, WriteSession

VERIFIED = "verified"
CORRUPT = "corrupt"
CONDEMNED = "condemned"
DELETING = "deleting"

_REFER = text("""
    INSERT INTO blob_reference (digest, kind, owner)
    SELECT digest, :kind, :owner FROM unnest(CAST(:digests AS text[])) AS digest
    ON CONFLICT DO NOTHING
""")
_BEFORE = case((col(Blob.corrupt_at).is_(None), VERIFIED), else_=CORRUPT)


def find_blob(session: ReadSession, digest: str) -> Blob | None:
    """Return the row of a blob in any state."""
    return session.get(Blob, digest)


def list_blobs(session: ReadSession, digests: Collection[str]) -> Sequence[Blob]:
    """Return the rows of those blobs that are known."""
    return session.exec(select(Blob).where(_among(digests))).all()


def keep_blob(session: WriteSession, digest: str, size: int, now: datetime) -> str | None:
    """Write a blob's row as verified now, whatever it was before, and hold its lock.

    One that was condemned, or about to be removed, stays.

    Returns:
        What was wrong with its bytes before, or None; `at_rest.note_whole` forgets it.
    """
    row = {
        "digest": digest,
        "size": size,
        "state": VERIFIED,
        "created_at": now,
        "verified_at": now,
    }
    statement = insert(Blob).values(row)
    changed = {"state": VERIFIED, "verified_at": now, "condemned_at": None}
    kept = statement.on_conflict_do_update(index_elements=["digest"], set_=changed)
    fault: str | None = session.execute(kept.returning(col(Blob.fault))).scalar_one()
    return fault


def verified_sizes(session: WriteSession, digests: Iterable[str]) -> Mapping[str, int]:
    """Return the sizes of those blobs that are verified, locked against removal.

    One that was condemned while nobody needed it is verified still: a reference alone keeps it.
    """
    whole = or_(
        col(Blob.state) == VERIFIED,
        (col(Blob.state) == CONDEMNED) & col(Blob.corrupt_at).is_(None),
    )
    statement = (
        select(Blob.digest, Blob.size)
        .where(_among(digests), whole)
        .order_by(col(Blob.digest))
        .with_for_update(read=True)
    )
    return {digest: size for digest, size in session.exec(statement)}  # noqa: C416 - rows are no pairs


def spare(session: WriteSession, digests: Collection[str]) -> None:
    """Take back the condemnation of blobs.

    What was never hashed here, or hashed and found wrong, is corrupt as it was before.
    """
    if not digests:
        return
    doomed = (
        select(Blob.digest)
        .where(_among(digests), Blob.state == CONDEMNED)
        .order_by(col(Blob.digest))
        .with_for_update()
    )
    session.execute(
        update(Blob)
        .where(_among(session.exec(doomed).all()))
        .values(state=_BEFORE, condemned_at=None)
    )


def refer_to_blobs(session: WriteSession, digests: Iterable[str], kind: str, owner: str) -> None:
    """Write that an owner (a manifest, segment or snapshot) needs these blobs; repeatable."""
    wanted = sorted(set(digests))
    if wanted:
        session.execute(_REFER, {"digests": wanted, "kind": kind, "owner": owner})


def _among(digests: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a blob is one of these: one parameter, however many they are."""
    return col(Blob.digest) == any_(literal(sorted(set(digests)), ARRAY(String)))
