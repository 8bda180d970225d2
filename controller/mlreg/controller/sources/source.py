"""The protocols of this room: a source, which freezes, and a place, where its files lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.controller.domain.windows import Interval


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading.

    Attributes:
        state: equal as long as the file is: an entity tag, or inode, size and time of change.
    """

    file: pa.NativeFile
    size: int
    state: str


class Place(Protocol):
    """Somewhere files lie, with all that may be read there.

    Every place promises, and `tests/contract/test_sources.py` asks of each: nothing outside of what
    its connection covers is listed or opened, whatever the URL or a link says; verbs may be called
    from many threads at once, and wait a bounded time.
    """

    def find(self, url: str) -> Sequence[str]:
        """Return the URLs of the files that a pattern or a folder means, sorted.

        Raises:
            SourceUnreachableError, FileLeadsOutError, SourceTooLargeError: they cannot be listed.
        """
        ...

    def open(self, url: str) -> AbstractContextManager[Opened]:
        """Open a file for reading anywhere in it.

        Raises:
            FileNotFoundError: there is none.
            SourceUnreachableError, FileLeadsOutError: it cannot be opened.
        """
        ...


class Source(Protocol):
    """Users' own data: what it is now can be frozen.

    Every source promises: `freeze` names all files that can have rows of the range, with digests of
    the very bytes; frozen again with nothing changed it is equal; it holds no transaction of ours.
    """

    def freeze(self, span: Interval) -> FrozenSource:
        """Say what the source is now, as far as it can have rows of a range.

        Raises:
            InvalidError, NotFoundError, RefusedError, UnavailableError: as `errors.py` draws them.
        """
        ...


class DigestMemory(Protocol):
    """What was hashed before, so that what has not changed since is not hashed again."""

    def recall(self, urls: Sequence[str]) -> Mapping[str, tuple[str, str]]:
        """Return (state, digest) of the files that are known, by URL."""
        ...

    def note(self, digests: Mapping[str, tuple[str, str]]) -> None:
        """Remember (state, digest) of some files; forgetting them is harmless."""
        ...


class NoMemory:
    """Remembers nothing."""

    def recall(self, urls: Sequence[str]) -> Mapping[str, tuple[str, str]]:
        """See `DigestMemory.recall`."""
        del urls
        return {}

    def note(self, digests: Mapping[str, tuple[str, str]]) -> None:
        """See `DigestMemory.note`."""


_PROOF: type[DigestMemory] = NoMemory
