"""Uploads that can be resumed: open → uploaded → verified (a blob), or failed.

What always holds:

- pieces come in order, each once: one that begins elsewhere than the last ended changes nothing;
- what is uploaded becomes a blob only after it was hashed by the server (`upload_verifying.py`);
- the store works while no session of the database is open; a server that is killed leaves an upload
  that goes on where it was, and bytes that the sweep removes;
- an upload is its owner's alone, and ends after a day; an owner has about 200 open ones at most (as
  many more as begin in the same moment), and none takes more bytes than its size said.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

from mlreg.registry.artifacts.opening import open_transfers
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.artifacts.transfers import DirectTransfers, Transfers
from mlreg.registry.domain.clock import Clock
from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import (
    InvalidError,
    NotFoundError,
    RefusedError,
)
from mlreg.registry.store import uploads as rows
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.tables import UploadSession

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.artifacts.transfers import StoredPart
    from mlreg.registry.domain.actor import Actor

LIFE = timedelta(hours=24)
SWEEP_PAGE = 100
PART_BYTES = 16 * 2**20
MAX_PARTS = 9_000
MAX_OPEN = 200


class UploadNotFoundError(NotFoundError):
    """There is no such upload of this caller's, or its time is over."""

    code = "upload_not_found"
    hint = "Begin again; an upload lives for 24 hours."

    def __init__(self, *, upload: str) -> None:
        super().__init__(f"no upload {upload[:64]!r}")


class UploadOutOfOrderError(InvalidError):
    """A piece begins elsewhere than the upload ends."""

    code = "upload_out_of_order"
    hint = "Ask for the upload's offset (GET), and go on from there."
    status = 416

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(f"the upload ends at byte {expected}, the piece begins at {actual}")


class UploadTooLongError(InvalidError):
    """A piece goes beyond the size that was said when the upload began; nothing was added."""

    code = "upload_too_long"
    hint = "Begin another upload, without a size or with the right one."
    status = 416

    def __init__(self, *, size: int, end: int) -> None:
        super().__init__(f"the upload is of {size} bytes, the piece would end at {end}")


class TooManyUploadsError(RefusedError):
    """The caller has as many open uploads as one may have."""

    code = "too_many_uploads"
    hint = "Finish or cancel some; those that nobody finishes end after 24 hours."

    def __init__(self, *, owner: str, most: int) -> None:
        super().__init__(f"{owner} has {most} open uploads, and may have no more")


class UploadClosedError(RefusedError):
    """The upload takes no more bytes."""

    code = "upload_closed"

    def __init__(self, *, upload: str, state: str) -> None:
        super().__init__(f"upload {upload} is {state}")


class UploadMismatchError(InvalidError):
    """The bytes that were uploaded are not those of the digest; they were removed."""

    code = "digest_mismatch"
    hint = "Upload the file again; nothing was kept."
    status = 400

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"the uploaded bytes are not what was said: {problem}")


class NotDirectError(RefusedError):
    """Clients may not write to this store by themselves, or not this upload."""

    code = "upload_not_direct"
    hint = "Send the pieces to the upload itself."

    def __init__(self) -> None:
        super().__init__("this upload goes through the server")


@dataclass(frozen=True)
class UploadRoom:
    """What uploads work with."""

    database: Database
    store: ArtifactStore
    transfers: Transfers
    direct: DirectTransfers | None
    clock: Clock

    @classmethod
    def of(cls, database: Database, store: ArtifactStore, clock: Clock) -> UploadRoom:
        """Return the room of a database, a store and business time."""
        transfers, direct = open_transfers(store)
        return cls(database, store, transfers, direct, clock)


def begin_upload(
    room: UploadRoom, *, size: int | None, direct: bool, actor: Actor, now: datetime
) -> UploadSession:
    """Begin an upload; it is direct when that was asked for, can be, and the size is known.

    Raises:
        TooManyUploadsError: the caller has too many open ones.
        StoreUnreachableError, StoreRefusedError: the store cannot take it now.
    """
    with room.database.reading() as session:
        if rows.count_open(session, actor.name, now) >= MAX_OPEN:
            raise TooManyUploadsError(owner=actor.name, most=MAX_OPEN)
    name = secrets.token_hex(16)
    multipart = None
    if direct and size and room.direct is not None:
        multipart = room.direct.begin(name)
    upload = UploadSession(
        id=name,
        owner=actor.name,
        size=size,
        parts=[],
        multipart=multipart,
        created_at=now,
        expires_at=now + LIFE,
    )
    with room.database.writing() as session:
        session.add(upload)
    return upload


def get_upload(room: UploadRoom, upload: str, *, actor: Actor, now: datetime) -> UploadSession:
    """Return an upload of this caller's.

    Raises:
        UploadNotFoundError: there is none, or its time is over.
    """
    with room.database.reading() as session:
        found = rows.find_upload(session, upload, actor.name)
    if found is None or found.expires_at <= now:
        raise UploadNotFoundError(upload=upload)
    return found


def append(room: UploadRoom, upload: UploadSession, offset: int, source: BinaryIO) -> int:
    """Add a piece and return the upload's new end in bytes.

    Raises:
        UploadOutOfOrderError: it does not begin where the upload ends.
        UploadTooLongError: it ends beyond the size that was said.
        UploadClosedError: the upload takes no more.
        StorageFullError, StoreUnreachableError: nothing was added.
    """
    size = source.seek(0, 2)
    source.seek(0)
    check_appendable(upload, offset, size)
    piece = f"{offset:020d}-{secrets.token_hex(8)}"
    room.transfers.append(upload.id, piece, source)
    failpoint("upload.piece_stored")
    with room.database.writing() as session:
        added = rows.append_piece(session, upload.id, offset, piece, size)
    if not added:  # another was faster; its piece counts, this one goes with the upload
        raise UploadOutOfOrderError(expected=offset + size, actual=offset)
    return offset + size


def check_appendable(upload: UploadSession, offset: int, size: int) -> None:
    """Let a piece of `size` bytes at this offset pass, or raise as `append` does."""
    if upload.state != "open" or upload.multipart is not None:
        raise UploadClosedError(upload=upload.id, state=upload.state)
    if offset != upload.received:
        raise UploadOutOfOrderError(expected=upload.received, actual=offset)
    if upload.size is not None and offset + size > upload.size:
        raise UploadTooLongError(size=upload.size, end=offset + size)


def finish_upload(
    room: UploadRoom, upload: UploadSession, digest: str, parts: Sequence[StoredPart]
) -> None:
    """Say that all bytes are there: from now on the upload is `uploaded`; repeating it is fine.

    Raises:
        UploadClosedError: it was finished with another digest, or failed.
        UploadMismatchError: it has another size than was said when it began.
    """
    checked_digest(digest)
    if upload.state != "open":
        if upload.digest != digest or upload.state == "failed":
            raise UploadClosedError(upload=upload.id, state=upload.state)
        return
    size = upload.received
    if upload.multipart is not None:
        size = _direct(room).complete(upload.id, upload.multipart, parts)
    if upload.size is not None and upload.size != size:
        _end(room, upload.id)
        raise UploadMismatchError(problem=f"{size} bytes, not {upload.size}")
    with room.database.writing() as session:
        rows.end_open(session, upload.id, digest, size)
    failpoint("upload.uploaded")


def cancel_upload(room: UploadRoom, upload: UploadSession) -> None:
    """End an upload and remove its bytes; a blob that came of it stays."""
    _end(room, upload.id)
    with room.database.writing() as session:
        rows.forget_upload(session, upload.id)


def part_urls(room: UploadRoom, upload: UploadSession, numbers: Sequence[int]) -> Sequence[str]:
    """Return a URL to PUT each of these parts at.

    Raises:
        NotDirectError: this upload goes through the server.
        UploadClosedError: it takes no more.
    """
    direct = _direct(room)
    if upload.multipart is None:
        raise NotDirectError
    if upload.state != "open":
        raise UploadClosedError(upload=upload.id, state=upload.state)
    return direct.part_urls(upload.id, upload.multipart, numbers)


def stored_parts(room: UploadRoom, upload: UploadSession) -> Sequence[StoredPart]:
    """Return the parts of a direct upload that are in the store, in their order.

    Raises:
        NotDirectError: this upload goes through the server.
    """
    direct = _direct(room)
    if upload.multipart is None:
        raise NotDirectError
    return direct.list_parts(upload.id, upload.multipart) if upload.state == "open" else ()


def part_bytes(size: int | None) -> int:
    """Return how large the parts of an upload are: 16 MiB or more, and at most 9,000 of them."""
    return max(PART_BYTES, -(-(size or 0) // MAX_PARTS))


def sweep_uploads(database: Database, store: ArtifactStore, now: datetime) -> int:
    """Remove uploads whose time is over, with their bytes, and bytes that belong to no upload.

    Args:
        database: where uploads are.
        store: where their bytes are.
        now: real time.

    Returns:
        How many uploads and left-over folders of bytes were removed.

    Raises:
        UnavailableError: the store cannot be asked; what was removed stays removed.
    """
    room, swept = UploadRoom.of(database, store, SystemClock()), 0
    while True:
        with database.reading() as session:
            ended = rows.expired_uploads(session, now, SWEEP_PAGE)
        for name in ended:
            _end(room, name)
            with database.writing() as session:
                rows.forget_upload(session, name)
        swept += len(ended)
        if len(ended) < SWEEP_PAGE:
            break
    with database.writing() as session:
        rows.forget_receipts(session, now - LIFE)
    return swept + _sweep_strays(room, now - LIFE)


def _sweep_strays(room: UploadRoom, before: datetime) -> int:
    names = list(room.transfers.stale(before))
    with room.database.reading() as session:
        strays = set(names) - rows.known_uploads(session, names)
    for name in strays:
        room.transfers.discard(name)
    return len(strays)


def _end(room: UploadRoom, name: str) -> None:
    with room.database.writing() as session:
        rows.close_upload(session, name)
    room.transfers.discard(name)


def _direct(room: UploadRoom) -> DirectTransfers:
    if room.direct is None:
        raise NotDirectError
    return room.direct
