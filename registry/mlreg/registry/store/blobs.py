"""Queries of blobs and of who needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.registry.store.tables import Blob, BlobReference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

VERIFIED = "verified"
CORRUPT = "corrupt"


def find_blob(session: ReadSession, digest: str) -> Blob | None:
    """Return the row of a blob in any state."""
    return session.get(Blob, digest)


def keep_blob(session: WriteSession, digest: str, size: int, now: datetime) -> None:
    """Write a blob's row as verified now, whatever it was before, and hold its lock."""
    row = {
        "digest": digest,
        "size": size,
        "state": VERIFIED,
        "created_at": now,
        "verified_at": now,
    }
    statement = insert(Blob).values(row)
    changed = {"state": VERIFIED, "verified_at": now, "condemned_at": None}
    session.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=changed))


def verified_sizes(session: WriteSession, digests: Iterable[str]) -> Mapping[str, int]:
    """Return the sizes of those blobs that are verified, locked against removal."""
    statement = (
        select(Blob.digest, Blob.size)
        .where(col(Blob.digest).in_(sorted(set(digests))), Blob.state == VERIFIED)
        .order_by(col(Blob.digest))
        .with_for_update(read=True)
    )
    return {digest: size for digest, size in session.exec(statement)}  # noqa: C416 - rows are no pairs


def mark_blob(session: WriteSession, digest: str, *, whole: bool, now: datetime) -> None:
    """Write what a new look at a blob's bytes found."""
    found = {"state": VERIFIED, "verified_at": now} if whole else {"state": CORRUPT}
    looked_at = col(Blob.state).in_((VERIFIED, CORRUPT))
    session.execute(update(Blob).where(col(Blob.digest) == digest, looked_at).values(found))


def refer_to_blobs(session: WriteSession, digests: Iterable[str], kind: str, owner: str) -> None:
    """Write that an owner (a manifest, segment or snapshot) needs these blobs; repeatable."""
    rows = [{"digest": digest, "kind": kind, "owner": owner} for digest in sorted(set(digests))]
    if rows:
        session.execute(insert(BlobReference).values(rows).on_conflict_do_nothing())
