"""A reader that withholds its last piece until the whole hashes to its name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from mlreg.registry.artifacts.errors import BlobCorruptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK_BYTES = 2**20


class Source(Protocol):
    """Anything that is read piece by piece."""

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, empty at the end."""
        ...


class VerifiedReader:
    """Reads a source once, from start to end, and raises before the last piece if it is wrong."""

    def __init__(
        self,
        source: Source,
        digest: str,
        *,
        error: Callable[[str, str], Exception] | None = None,
    ) -> None:
        self.digest = digest
        self._source = source
        self._sha256 = hashlib.sha256()
        self._error = error or _corrupt
        self._held: bytes | None = None
        self._ended = False

    def read(self, amount: int = CHUNK_BYTES, /) -> bytes:
        """Return up to `amount` (or, if negative, all) bytes; empty at the end.

        Raises:
            BlobCorruptError: the bytes do not hash to the digest; the last piece was withheld.
        """
        if amount < 0:
            return b"".join(self.chunks())
        if self._ended:
            return b""
        if self._held is None:
            self._held = self._next(max(amount, 1))
        piece, self._held = self._held, self._next(max(amount, 1)) if self._held else b""
        if not self._held:
            self._ended = True
            self._check()
        return piece

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the bytes piece by piece.

        Raises:
            BlobCorruptError: as `read`.
        """
        while piece := self.read(size):
            yield piece

    def _next(self, amount: int) -> bytes:
        piece = self._source.read(amount)
        self._sha256.update(piece)
        return piece

    def _check(self) -> None:
        actual = "sha256:" + self._sha256.hexdigest()
        if actual != self.digest:
            raise self._error(self.digest, actual)


def _corrupt(expected: str, actual: str) -> Exception:
    return BlobCorruptError(expected=expected, actual=actual)
