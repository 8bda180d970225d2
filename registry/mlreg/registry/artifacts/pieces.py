"""Several sources read as one, and one source read in part."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING

from typing_extensions import Buffer, override

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from mlreg.registry.artifacts.verified import Source

    Opened = AbstractContextManager[Source]


class JoinedSource(io.RawIOBase):
    """Sources one behind the other; may be rewound to the start, and no further than that."""

    def __init__(self, openers: Sequence[Callable[[], Opened]]) -> None:
        super().__init__()
        self._openers = openers
        self._current = ExitStack()
        self._source: Source | None = None
        self._next = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = 0, /) -> int:
        if offset or whence:
            raise io.UnsupportedOperation
        self._current.close()
        self._source, self._next = None, 0
        return 0

    @override
    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes: all of them unless the last source has ended."""
        found = bytearray()
        while len(found) < size:
            piece = self._piece(size - len(found))
            if not piece:
                break
            found += piece
        return bytes(found)

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    @override
    def close(self) -> None:
        self._current.close()
        super().close()

    def _piece(self, amount: int) -> bytes:
        while True:
            if self._source is None:
                if self._next == len(self._openers):
                    return b""
                self._source = self._current.enter_context(self._openers[self._next]())
                self._next += 1
            piece = self._source.read(amount)
            if piece:
                return piece
            self._current.close()
            self._source = None


class BoundedSource:
    """The first `amount` bytes of a source."""

    def __init__(self, source: Source, amount: int) -> None:
        self._source = source
        self._left = amount

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, empty at the bound."""
        piece = self._source.read(min(amount, self._left))
        self._left -= len(piece)
        return piece
