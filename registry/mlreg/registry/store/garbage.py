"""Queries of the garbage collection: what nobody needs, and taking it away under its row's lock.

What always holds: a row is locked before its references are counted, in a statement of its own, so
that the count sees all that was committed before; who refers to a blob holds its row's key lock,
and so is waited for or waits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, or_, text, update
from sqlalchemy import select as select_columns
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.registry.store.blobs import CONDEMNED, CORRUPT, DELETING, VERIFIED
from mlreg.registry.store.tables import METADATA, Blob, BlobReceipt, BlobReference, Model, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

_blob = METADATA.tables["blob"]
ORPHAN = "an object without a row"
_UNNEEDED = ~exists().where(col(BlobReference.digest) == col(Blob.digest))
_LAST_REIGN = text("""
    SELECT max(coalesce(
        (SELECT n.at FROM revision n WHERE n.deployment_id = r.deployment_id
            AND n.number = r.number + 1),
        :now))
    FROM revision r JOIN deployment d ON d.id = r.deployment_id
    WHERE d.model_id = :model_id AND r.champion = :number
""")
_NEWEST_CHAMPIONS = text("""
    SELECT champion FROM (
        SELECT r.champion, row_number() OVER (
            PARTITION BY r.deployment_id ORDER BY max(r.number) DESC
        ) AS place
        FROM revision r JOIN deployment d ON d.id = r.deployment_id
        WHERE d.model_id = :model_id AND r.champion IS NOT NULL
        GROUP BY r.deployment_id, r.champion
    ) AS reigns
    WHERE place <= :amount
""")
_RELEASE = text("""
    DELETE FROM blob_reference r WHERE r.kind = :kind AND r.owner = :owner
""")


@dataclass(frozen=True, slots=True)
class UnneededBlob:
    """A blob that nobody refers to.

    Attributes:
        fault: what is wrong with its bytes, or `ORPHAN`.
        condemned_at: when it was found to be unneeded; None if nobody has looked yet.
    """

    digest: str
    size: int
    state: str
    created_at: datetime
    condemned_at: datetime | None
    fault: str | None


def list_unneeded(session: ReadSession, before: datetime, limit: int) -> Sequence[UnneededBlob]:
    """Return blobs that are condemned, or that nobody needs and came in before a moment."""
    known = or_(
        col(Blob.state).in_((CONDEMNED, DELETING)),
        col(Blob.state).in_((VERIFIED, CORRUPT)) & (Blob.created_at < before) & _UNNEEDED,
    )
    columns = [_blob.c[field.name] for field in fields(UnneededBlob)]
    statement = select_columns(*columns).where(known).order_by(_blob.c.digest).limit(limit)
    return [UnneededBlob(*row) for row in session.execute(statement)]


def condemn(session: WriteSession, before: datetime, now: datetime, limit: int) -> list[str]:
    """Condemn blobs that nobody needs and that came in before a moment; return their digests."""
    old = (
        select(Blob.digest)
        .where(col(Blob.state).in_((VERIFIED, CORRUPT)), Blob.created_at < before, _UNNEEDED)
        .order_by(col(Blob.digest))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    condemned = session.execute(
        update(Blob)
        .where(col(Blob.digest).in_(session.exec(old).all()), _UNNEEDED)
        .values(state=CONDEMNED, condemned_at=now)
        .returning(col(Blob.digest))
    )
    return list(condemned.scalars())


def needed_again(session: ReadSession, limit: int) -> Sequence[str]:
    """Return condemned blobs that somebody refers to after all."""
    statement = select(Blob.digest).where(Blob.state == CONDEMNED, ~_UNNEEDED)
    return session.exec(statement.order_by(col(Blob.digest)).limit(limit)).all()


def begin_deleting(session: WriteSession, before: datetime, limit: int) -> list[tuple[str, int]]:
    """Mark blobs that were condemned before a moment, and that still nobody needs, for deletion.

    Returns:
        Digest and size in bytes of each.
    """
    doomed = (
        select(Blob.digest)
        .where(Blob.state == CONDEMNED, col(Blob.condemned_at) <= before, _UNNEEDED)
        .order_by(col(Blob.digest))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    marked = session.execute(
        update(Blob)
        .where(col(Blob.digest).in_(session.exec(doomed).all()), _UNNEEDED)
        .values(state=DELETING)
        .returning(col(Blob.digest), col(Blob.size))
    )
    return [(digest, size) for digest, size in marked]


def list_deleting(session: ReadSession, limit: int) -> Sequence[str]:
    """Return the blobs whose deletion was begun."""
    statement = select(Blob.digest).where(Blob.state == DELETING)
    return session.exec(statement.order_by(col(Blob.digest)).limit(limit)).all()


def lock_deleting(session: WriteSession, digest: str) -> bool:
    """Lock a blob's row, and say whether its deletion is still to be done."""
    statement = select(Blob.digest).where(Blob.digest == digest, Blob.state == DELETING)
    return session.exec(statement.with_for_update(skip_locked=True)).first() is not None


def drop_row(session: WriteSession, digest: str) -> None:
    """Remove the row of a blob whose bytes are gone."""
    session.execute(delete(BlobReceipt).where(col(BlobReceipt.digest) == digest))
    session.execute(delete(Blob).where(col(Blob.digest) == digest, col(Blob.state) == DELETING))


def without_row(session: ReadSession, digests: Collection[str]) -> set[str]:
    """Return those digests that are no blob's."""
    known = session.exec(select(Blob.digest).where(col(Blob.digest).in_(digests)))
    return set(digests) - set(known)


def adopt_orphans(
    session: WriteSession, orphans: Sequence[tuple[str, int, datetime]], now: datetime
) -> int:
    """Give objects without a row one that is condemned and was never verified; return how many.

    Args:
        session: the caller's transaction.
        orphans: of each the digest it is named by, its size in bytes and when it was written.
        now: real time.
    """
    rows = [
        {
            "digest": digest,
            "size": size,
            "state": CONDEMNED,
            "created_at": written_at,
            "verified_at": written_at,
            "condemned_at": now,
            "corrupt_at": now,
            "fault": ORPHAN,
        }
        for digest, size, written_at in orphans
    ]
    if not rows:
        return 0
    added = insert(Blob).values(rows).on_conflict_do_nothing().returning(col(Blob.digest))
    return len(session.execute(added).all())


def list_expired(session: ReadSession, before: datetime, limit: int) -> Sequence[tuple[int, int]]:
    """Return (model, number) of versions that were deleted, or whose model was, before a moment."""
    own = col(Version.deleted_at) < before
    models = col(Model.deleted_at) < before
    statement = (
        select(Version.model_id, Version.number)
        .join(Model, col(Model.id) == Version.model_id)
        .where(col(Version.purged_at).is_(None), or_(own, models))
        .order_by(col(Version.model_id), col(Version.number))
        .limit(limit)
    )
    return [(model_id, number) for model_id, number in session.exec(statement)]


def get_model_by_id(session: ReadSession, model_id: int) -> Model:
    """Return a model that is known to exist, deleted or not."""
    return session.exec(select(Model).where(Model.id == model_id)).one()


def get_version_row(session: ReadSession, model_id: int, number: int) -> Version:
    """Return a version that is known to exist, deleted or not."""
    statement = select(Version).where(Version.model_id == model_id, Version.number == number)
    return session.exec(statement).one()


def last_reign(session: ReadSession, model_id: int, number: int, now: datetime) -> datetime | None:
    """Return when a version last was a champion anywhere (now, if it is), None if it never was."""
    row = session.execute(
        _LAST_REIGN, {"model_id": model_id, "number": number, "now": now}
    ).scalar_one()
    return row if isinstance(row, datetime) else None


def newest_champions(session: ReadSession, model_id: int, amount: int) -> set[int]:
    """Return the newest champions of each deployment of a model, that many of each."""
    found = session.execute(_NEWEST_CHAMPIONS, {"model_id": model_id, "amount": amount})
    return set(found.scalars())


def has_children(session: ReadSession, model_id: int, number: int) -> bool:
    """Say whether a version that is not deleted began from this one."""
    statement = select(Version.number).where(
        Version.model_id == model_id, Version.parent == number, col(Version.deleted_at).is_(None)
    )
    return session.exec(statement.limit(1)).first() is not None


def manifests_of(session: ReadSession, version: Version) -> list[tuple[str, str]]:
    """Return (kind, owner) of the references that a version alone keeps its blobs by."""
    owners = [("manifest", version.manifest_digest)]
    if version.stage_digest is not None:
        owners.append(("stage", version.stage_digest))
    unshared = [
        (kind, owner) for kind, owner in owners if not _is_shared(session, version, kind, owner)
    ]
    return [*unshared, ("record", f"{version.model_id}/{version.number}")]


def lock_blobs_of(session: WriteSession, version: Version) -> None:
    """Lock the blobs of a version, so that no registration begins to need them meanwhile."""
    owners = [version.manifest_digest, version.stage_digest]
    held = (
        select(Blob.digest)
        .join(BlobReference, col(BlobReference.digest) == Blob.digest)
        .where(
            col(BlobReference.kind).in_(("manifest", "stage")),
            col(BlobReference.owner).in_([owner for owner in owners if owner is not None]),
        )
        .order_by(col(Blob.digest))
        .with_for_update(of=Blob)
    )
    session.exec(held).all()


def release(session: WriteSession, kind: str, owner: str) -> None:
    """Take back an owner's claims that its blobs are kept."""
    session.execute(_RELEASE, {"kind": kind, "owner": owner})


def count_unneeded(session: ReadSession) -> int:
    """Return how many blobs are condemned or about to be removed."""
    statement = select(func.count()).where(col(Blob.state).in_((CONDEMNED, DELETING)))
    return session.exec(statement).one()


def _is_shared(session: ReadSession, version: Version, kind: str, owner: str) -> bool:
    column = Version.manifest_digest if kind == "manifest" else Version.stage_digest
    other = select(Version.number).where(
        column == owner,
        col(Version.purged_at).is_(None),
        (Version.model_id != version.model_id) | (Version.number != version.number),
    )
    return session.exec(other.limit(1)).first() is not None
