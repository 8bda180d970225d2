"""What every backend shares: sources checked on the way in, objects read back before `put` returns.

A backend writes single steps (`_create`, `_replace`, `_stream` …); that bytes are verified, and in
which order, is decided here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mlreg.registry.artifacts.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    WrongBytesError,
    WrongSizeError,
)
from mlreg.registry.artifacts.verified import Source, VerifiedReader
from mlreg.registry.domain.digests import checked_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class VerifyingStore(ABC):
    """A store whose bytes are hashed on the way in, read back, and hashed on the way out."""

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        """See `ArtifactStore.put`.

        A first read-back that fails is answered by one replacement, for the bytes at hand are
        known to be right; an object is never removed, for another version may need it.
        """
        key = key_of(digest)
        check_source(source, digest, size)
        if self._create(key, source, size) and self._is_whole(digest, key):
            return
        if not self._is_whole(digest, key):
            source.seek(0)
            self._replace(key, source, size)
            self._read_back(digest, key)

    def put_copy(self, digest: str, copy: Callable[[str], None]) -> None:
        """Let the store copy bytes that were hashed where they lie, and read them back.

        Args:
            digest: what they hashed to.
            copy: makes the object of the given key.

        Raises:
            BlobCorruptError: the copy is not what was copied.
        """
        key = key_of(digest)
        if self._size(key) is None or not self._is_whole(digest, key):
            copy(key)
            self._read_back(digest, key)

    @contextmanager
    def open(self, digest: str) -> Iterator[VerifiedReader]:
        """See `ArtifactStore.open`."""
        with self._stream(key_of(digest)) as source:
            if source is None:
                raise BlobNotFoundError(digest=digest)
            yield VerifiedReader(source, digest)

    def size(self, digest: str) -> int | None:
        """See `ArtifactStore.size`."""
        return self._size(key_of(digest))

    def delete(self, digest: str) -> None:
        """See `ArtifactStore.delete`."""
        self._delete(key_of(digest))

    def _is_whole(self, digest: str, key: str) -> bool:
        try:
            self._read_back(digest, key)
        except BlobCorruptError:
            return False
        return True

    def _read_back(self, digest: str, key: str) -> None:
        with self._stream(key) as source:
            if source is None:
                raise BlobCorruptError(expected=digest, actual="nothing")
            for _ in VerifiedReader(source, digest).chunks():
                pass

    @abstractmethod
    def _create(self, key: str, source: BinaryIO, size: int) -> bool:
        """Write an object durably under a name that is free; False if it is taken."""

    @abstractmethod
    def _replace(self, key: str, source: BinaryIO, size: int) -> None:
        """Write an object durably over whatever has its name."""

    @abstractmethod
    def _stream(self, key: str) -> AbstractContextManager[Source | None]:
        """Open an object's bytes, None if there is no such object."""

    @abstractmethod
    def _size(self, key: str) -> int | None:
        """Return an object's size, None if there is no such object."""

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Remove an object, if it is there."""


def key_of(digest: str) -> str:
    """Return the place of a blob: `blobs/sha256/ab/<64 hex>`.

    Raises:
        InvalidDigestError: it is no digest, so nothing a user wrote can become a path.
    """
    hexadecimal = checked_digest(digest).removeprefix("sha256:")
    return f"blobs/sha256/{hexadecimal[:2]}/{hexadecimal}"


def check_source(source: BinaryIO, digest: str, size: int) -> None:
    """Hash a source to its end and rewind it.

    Raises:
        WrongBytesError, WrongSizeError: it is not what was said.
    """
    source.seek(0)
    reader = VerifiedReader(source, digest, error=_wrong_bytes)
    actual = sum(len(piece) for piece in reader.chunks())
    if actual != size:
        raise WrongSizeError(expected=size, actual=actual)
    source.seek(0)


def _wrong_bytes(expected: str, actual: str) -> Exception:
    return WrongBytesError(expected=expected, actual=actual)
