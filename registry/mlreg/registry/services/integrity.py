"""Bytes at rest: looking at them again, and what follows when they are not those that came in.

What always holds: a blob is called corrupt only after two looks, and only if nobody brought its
bytes anew meanwhile; the row, the audit entry and the alerts (one for each model that has it) are
one transaction; the wrong bytes are then put aside, out of every reader's reach, after a third
look: where it finds them right, it was the way to the store, and the blob is healed. A champion
keeps its place: what serves it has verified its own copy, and a person decides. Right bytes that
come again heal the blob.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError
from mlreg.registry.artifacts.opening import open_upkeep
from mlreg.registry.domain.actor import SYSTEM, Actor
from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.store import at_rest as rows
from mlreg.registry.store import outbox
from mlreg.registry.store.at_rest import RestingBlob
from mlreg.registry.store.blobs import CORRUPT
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.garbage import ORPHAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.upkeep import Upkeep
    from mlreg.registry.store.at_rest import HoldingVersion
    from mlreg.registry.store.database import Database, WriteSession

TOPIC = "blob.corrupt"
HEALED = "blob.healed"
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a blob's bytes found.

    Attributes:
        blob: the row as it was before the look.
        fault: what is wrong with the bytes; None when they are right.
        at: when.
    """

    blob: RestingBlob
    fault: str | None
    at: datetime


def look_at(store: ArtifactStore, blob: RestingBlob, now: datetime) -> Look:
    """Hash a blob's bytes anew; what seems wrong is looked at twice.

    Raises:
        StoreUnreachableError: nothing can be said about them.
    """
    fault = _find_fault(store, blob)
    return Look(blob, fault and _find_fault(store, blob), now)


def remember(session: WriteSession, looks: Iterable[Look], *, actor: Actor = SYSTEM) -> list[Look]:
    """Write what looks found, and tell of it; return those that turned a blob corrupt.

    A blob whose row is no longer as it was before the look is left as it is.
    """
    turned = [look for look in looks if _write(session, look)]
    for look in turned:
        _tell(session, look, actor)
    return [look for look in turned if look.fault is not None]


def heal(session: WriteSession, digest: str, size: int, fault: str, *, now: datetime) -> None:
    """Write that the right bytes of a blob came again, and tell of it if it was called corrupt."""
    rows.note_whole(session, digest, now)
    if fault != ORPHAN:
        blob = RestingBlob(digest, size, CORRUPT, now)
        _tell(session, Look(blob, None, now), SYSTEM)


def put_aside(database: Database, store: ArtifactStore, now: datetime) -> list[str]:
    """Put the bytes of corrupt blobs aside; return the keys under which the store keeps them.

    What cannot be read or moved now stays where it is, unserved, and is tried again the next time.
    """
    with database.reading() as session:
        blobs = rows.list_unquarantined(session)
    if not blobs:
        return []
    upkeep = open_upkeep(store)
    found = []
    for blob in blobs:
        with suppress(UnavailableError):
            fault = _find_fault(store, blob)
            found.append(_put_aside(database, upkeep, Look(blob, fault, now)))
    return [key for key in found if key is not None]


def _put_aside(database: Database, upkeep: Upkeep, look: Look) -> str | None:
    digest = look.blob.digest
    with database.writing() as session:
        if not rows.lock_unquarantined(session, digest):
            return None
        if look.fault is None:
            heal(session, digest, look.blob.size, "the way to the store", now=look.at)
            return None
        try:
            key = upkeep.quarantine(digest)
        except UnavailableError:
            return None
        failpoint("integrity.moved")
        rows.note_quarantine(session, digest, key or "")
    return key


def _find_fault(store: ArtifactStore, blob: RestingBlob) -> str | None:
    try:
        with store.open(blob.digest) as reader:
            size = sum(len(piece) for piece in reader.chunks())
    except BlobNotFoundError:
        return MISSING
    except BlobCorruptError as error:
        return f"it hashes to {error.actual}" if error.actual != "nothing" else MISSING
    return None if size == blob.size else f"it has {size} bytes, not {blob.size}"


def _write(session: WriteSession, look: Look) -> bool:
    """Write a look; say whether it changed what the blob is."""
    blob = look.blob
    if not rows.lock_unchanged(session, blob):
        return False
    if look.fault is None:
        rows.note_whole(session, blob.digest, look.at)
    elif not blob.is_corrupt:
        rows.note_corrupt(session, blob.digest, look.fault, look.at)
    return blob.is_corrupt == (look.fault is None)


def _tell(session: WriteSession, look: Look, actor: Actor) -> None:
    digest, corrupt = look.blob.digest, look.fault is not None
    versions = rows.versions_with(session, digest)
    models = {version.model for version in versions} | set(rows.models_logging(session, digest))
    told_of: list[str | None] = [*sorted(models)] or [None]
    for model in told_of:
        own = _body(look, [version for version in versions if version.model == model])
        told = {"model": model, **own, "actor": actor.name}
        outbox.add(session, TOPIC if corrupt else HEALED, told, look.at)
    audit.record(
        session,
        action="blob.corrupt" if corrupt else "blob.heal",
        subject=f"blob:{digest}",
        actor=actor,
        body=_body(look, versions),
        now=look.at,
    )


def _body(look: Look, versions: Sequence[HoldingVersion]) -> dict[str, object]:
    return {
        "digest": look.blob.digest,
        "size": look.blob.size,
        "fault": look.fault,
        "versions": [f"{version.model}/{version.number}" for version in versions],
        "champions": [
            f"{version.model}/{version.number} in {environment}"
            for version in versions
            for environment in version.environments
        ],
    }
