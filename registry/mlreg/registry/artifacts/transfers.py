"""Bytes at size: on their way in as pieces of an upload, on their way out as ranges of a blob.

What always holds: what is on its way in lies under `uploads/<session>` and cannot be read as a
blob; `adopt` makes a blob of it under the promise of `ArtifactStore.put`; a session's name is made
by the server (32 hex digits), never from what a user wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mlreg.registry.artifacts.verified import Source

URL_SECONDS = 300
"""How long a presigned URL holds."""

_SESSION = re.compile(r"[0-9a-f]{32}")
_PIECE = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that a client wrote into the store by itself, as the store has it."""

    number: int
    etag: str
    size: int


class Transfers(Protocol):
    """Uploads piece by piece, and ranges of blobs; safe to call from many threads."""

    def append(self, session: str, piece: str, source: BinaryIO) -> None:
        """Store one piece of an upload durably.

        Raises:
            StorageFullError, StoreUnreachableError, StoreRefusedError: it cannot be stored now.
        """
        ...

    def adopt(self, session: str, pieces: Sequence[str], digest: str, size: int) -> None:
        """Make a blob of the pieces in their order, or (none) of what a client itself wrote.

        The bytes are hashed first, and read back under their new name; the upload stays until it is
        discarded. Repeating it is harmless.

        Raises:
            WrongBytesError, WrongSizeError: they are not what was said; no blob is made.
            BlobCorruptError, StorageFullError, StoreUnreachableError: as `ArtifactStore.put`.
        """
        ...

    def discard(self, session: str) -> None:
        """Remove everything of an upload; what is not there is no error."""
        ...

    def stale(self, before: datetime) -> Iterable[str]:
        """Name sessions with bytes older than this; torn writes of others are removed."""
        ...

    def read_range(self, digest: str, start: int, end: int) -> AbstractContextManager[Source]:
        """Open the bytes `start` to `end` (exclusive) of a blob; who reads verifies the whole.

        Raises:
            BlobNotFoundError: there is none.
        """
        ...


class DirectTransfers(Protocol):
    """What clients may do at the store itself, by presigned URLs."""

    def begin(self, session: str) -> str:
        """Begin an upload in parts; return the store's own name of it."""
        ...

    def part_urls(self, session: str, multipart: str, numbers: Sequence[int]) -> Sequence[str]:
        """Return a URL to PUT each of these parts at, for `URL_SECONDS`."""
        ...

    def list_parts(self, session: str, multipart: str) -> Sequence[StoredPart]:
        """Return the parts that are there, in their order."""
        ...

    def complete(self, session: str, multipart: str, parts: Sequence[StoredPart]) -> int:
        """Join the parts under `uploads/<session>` and return the size in bytes; repeatable."""
        ...

    def blob_url(self, digest: str) -> str:
        """Return a URL to GET a blob at, for `URL_SECONDS`."""
        ...


class InvalidUploadNameError(InvalidError):
    """A session or piece that no server of ours named."""

    code = "invalid_upload"

    def __init__(self) -> None:
        super().__init__("that is not the name of an upload")


def upload_key(session: str, piece: str | None = None) -> str:
    """Return the place of an upload, or of one of its pieces.

    Raises:
        InvalidUploadNameError: a name is not one of ours, so nothing a user wrote becomes a path.
    """
    if _SESSION.fullmatch(session) is None or (piece and _PIECE.fullmatch(piece) is None):
        raise InvalidUploadNameError
    return f"uploads/{session}/{piece}" if piece else f"uploads/{session}"


def is_session(name: str) -> bool:
    """Say whether a name may be that of a session."""
    return _SESSION.fullmatch(name) is not None
