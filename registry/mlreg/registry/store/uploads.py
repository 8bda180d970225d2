"""Queries of upload sessions, and of who may know and register which blobs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, literal, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import col, or_, select

from mlreg.registry.store.tables import (
    BlobReceipt,
    BlobReference,
    Model,
    UploadSession,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

LEASE = timedelta(seconds=6)
_id = col(UploadSession.id)
_busy_until = col(UploadSession.busy_until)


def find_upload(session: ReadSession, upload: str, owner: str) -> UploadSession | None:
    """Return the upload of that id, if it is this owner's."""
    mine = select(UploadSession).where(_id == upload, UploadSession.owner == owner)
    return session.exec(mine, execution_options={"populate_existing": True}).one_or_none()


def count_open(session: ReadSession, owner: str, now: datetime) -> int:
    """Return how many uploads this owner has that still take bytes."""
    mine = select(func.count()).select_from(UploadSession).where(UploadSession.owner == owner)
    living = mine.where(UploadSession.state == "open", UploadSession.expires_at > now)
    return session.exec(living).one()


def append_piece(session: WriteSession, upload: str, offset: int, piece: str, size: int) -> bool:
    """Add a piece to an open upload that ends where the piece begins; False if it does not."""
    found = session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.state) == "open")
        .where(col(UploadSession.received) == offset)
        .values(
            received=offset + size,
            parts=col(UploadSession.parts).op("||")(literal([piece], JSONB)),
        )
        .returning(_id)
    )
    return found.first() is not None


def end_open(session: WriteSession, upload: str, digest: str, size: int) -> bool:
    """Say that all bytes of an open upload are there; False if it is not open."""
    found = session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.state) == "open")
        .values(state="uploaded", digest=digest, size=size, received=size)
        .returning(_id)
    )
    return found.first() is not None


def claim(session: WriteSession, upload: str, by: str) -> UploadSession | None:
    """Take an upload to be verified, unless another is at it, under a lease of `LEASE`."""
    free = or_(_busy_until.is_(None), _busy_until < func.now())
    taken = session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.state) == "uploaded", free)
        .values(busy_by=by, busy_until=func.now() + LEASE)
        .returning(_id)
    ).first()
    return None if taken is None else session.get(UploadSession, upload)


def renew(session: WriteSession, upload: str, by: str, lease: timedelta = LEASE) -> None:
    """Prolong the lease of who has it."""
    session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.busy_by) == by)
        .values(busy_until=func.now() + lease)
    )


def settle(session: WriteSession, upload: str, by: str, state: str, problem: str | None) -> bool:
    """Write the verdict of who has the lease; False if another has it."""
    found = session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.busy_by) == by)
        .where(col(UploadSession.state) == "uploaded")
        .values(state=state, problem=problem, busy_by=None, busy_until=None)
        .returning(_id)
    )
    return found.first() is not None


def expired_uploads(session: ReadSession, now: datetime, limit: int) -> Sequence[str]:
    """Return uploads whose time is over and at which nobody is."""
    free = or_(_busy_until.is_(None), _busy_until < func.now())
    query = select(UploadSession.id).where(UploadSession.expires_at <= now, free)
    return session.exec(query.order_by(col(UploadSession.expires_at)).limit(limit)).all()


def close_upload(session: WriteSession, upload: str) -> None:
    """End an upload that is not verified, so that nobody adds to it any more."""
    session.execute(
        update(UploadSession)
        .where(_id == upload, col(UploadSession.state).in_(("open", "uploaded")))
        .values(state="failed", problem="upload_ended", busy_by=None, busy_until=None)
    )


def forget_upload(session: WriteSession, upload: str) -> None:
    """Remove the row of an upload whose bytes are gone."""
    session.execute(delete(UploadSession).where(_id == upload))


def known_uploads(session: ReadSession, names: Collection[str]) -> set[str]:
    """Return those of the names that are uploads."""
    return set(session.exec(select(UploadSession.id).where(_id.in_(names))))


def keep_receipt(session: WriteSession, digest: str, owner: str) -> None:
    """Write that this owner brought these bytes now."""
    statement = insert(BlobReceipt).values(digest=digest, owner=owner, at=func.now())
    session.execute(
        statement.on_conflict_do_update(index_elements=["digest", "owner"], set_={"at": func.now()})
    )


def forget_receipts(session: WriteSession, before: datetime) -> None:
    """Remove receipts that count no more."""
    session.execute(delete(BlobReceipt).where(col(BlobReceipt.at) < before))


def brought(session: ReadSession, digests: Collection[str], owner: str) -> set[str]:
    """Return those of the blobs whose bytes this owner brought of late."""
    query = select(BlobReceipt.digest).where(
        BlobReceipt.owner == owner, col(BlobReceipt.digest).in_(digests)
    )
    return set(session.exec(query))


def readable(session: ReadSession, digests: Collection[str], models: Collection[str]) -> set[str]:
    """Return those of the blobs that a version of one of these models has."""
    owner = col(BlobReference.owner)
    query = (
        select(BlobReference.digest)
        .join(Version, or_(owner == Version.manifest_digest, owner == Version.stage_digest))
        .join(Model, col(Model.id) == Version.model_id)
        .where(col(BlobReference.digest).in_(digests), col(Model.name).in_(models))
        .distinct()
    )
    return set(session.exec(query))
