"""Whole blobs: into memory when they are small, into a file when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.new_files import new_file
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.registry.artifacts.store import ArtifactStore


class BlobTooLargeError(InvalidError):
    """A blob is larger than what is read into memory for that purpose."""

    code = "blob_too_large"

    def __init__(self, *, digest: str, max_bytes: int) -> None:
        super().__init__(f"blob {digest} is larger than {max_bytes} bytes")


def read_blob(store: ArtifactStore, digest: str, *, max_bytes: int = 64 * 2**20) -> bytes:
    """Return all bytes of a small blob, verified.

    Raises:
        BlobTooLargeError: it is larger than `max_bytes`.
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: as the store.
    """
    pieces, total = [], 0
    with store.open(digest) as reader:
        for piece in reader.chunks():
            total += len(piece)
            if total > max_bytes:
                raise BlobTooLargeError(digest=digest, max_bytes=max_bytes)
            pieces.append(piece)
    return b"".join(pieces)


def read_head(store: ArtifactStore, digest: str, amount: int) -> bytes:
    """Return the first bytes of a blob, not verified unless it is that short."""
    with store.open(digest) as reader:
        return reader.read(amount)


def save_blob(store: ArtifactStore, digest: str, path: Path) -> int:
    """Write a blob to a file that gets its name only once the bytes are verified.

    Returns:
        Its size in bytes.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: as the store; no file is left.
    """
    with new_file(path) as file, store.open(digest) as reader:
        return sum(file.write(piece) for piece in reader.chunks())
