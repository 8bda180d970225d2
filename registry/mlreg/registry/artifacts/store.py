"""The artifact store: five verbs over bytes that are named by their sha256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mlreg.registry.artifacts.verified import VerifiedReader


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store was seen to do; a promise that it does not keep is kept by us.

    Attributes:
        create_only: writing over an object that exists can be refused by the store itself.
        refuses_wrong_checksum: it checks the sha256 that comes with an upload.
        range_reads: it serves a part of an object.
    """

    kind: Literal["folder", "s3"]
    where: str
    create_only: bool
    refuses_wrong_checksum: bool
    range_reads: bool


class ArtifactStore(Protocol):
    """Keeps blobs.

    Every backend promises, and `tests/contract/test_artifact_store.py` asks of each:

    - `put` is verified and create-only: it returns when exactly the bytes of `digest` are durably
      stored and were read back; else nothing of that name can be read that is not those bytes.
      Repeating or racing it is harmless. A corrupt object of that name is replaced.
    - `open` hands out a reader that raises before the last piece of wrong bytes.
    - verbs may be called from many threads at once, and wait a bounded time.
    """

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        """Store `size` bytes from a seekable source.

        Raises:
            WrongBytesError, WrongSizeError: the source is not what was said; nothing is kept.
            BlobCorruptError: the store gave other bytes back than it was given.
            StorageFullError, StoreUnreachableError, StoreRefusedError: it cannot be stored now.
        """
        ...

    def open(self, digest: str) -> AbstractContextManager[VerifiedReader]:
        """Open a blob for reading from its start.

        Raises:
            BlobNotFoundError: there is none; BlobCorruptError comes from the reader.
        """
        ...

    def size(self, digest: str) -> int | None:
        """Return the size in bytes of a blob, None if there is none."""
        ...

    def delete(self, digest: str) -> None:
        """Remove a blob; removing what is not there is no error."""
        ...

    def probe(self) -> Capabilities:
        """Write, read and remove a few tiny objects, and say what the store really does.

        Raises:
            StorageFullError, StoreUnreachableError, StoreRefusedError: it is of no use now.
        """
        ...
