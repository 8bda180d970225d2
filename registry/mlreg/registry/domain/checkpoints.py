"""Checkpoints of the audit log: origin, number of entries, Merkle root (C2SP tlog-checkpoint).

What always holds: whoever holds a checkpoint can disprove every later log in which one of those
entries is another one, or missing. The leaves are the 32 bytes of the entries' digests.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mlreg.registry.domain.merkle import Range
from mlreg.registry.domain.notes import Note, NoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")
_LINES = 3
_CHUNK = 4_096


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was when it had `size` entries; `origin` names the log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(note: Note) -> Checkpoint:
    """Read what a note says of a log; whether it is signed is another question.

    Raises:
        NoteError: it is a note of something else.
    """
    lines = note.text.splitlines()
    try:
        origin, size, root = lines[:_LINES]
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error) as error:
        raise NoteError("this note is not a checkpoint of a log") from error
    if checkpoint.size < 0 or str(checkpoint.size) != size:
        raise NoteError("this note is not a checkpoint of a log")
    return checkpoint


def leaf_of(digest: str) -> bytes:
    """Return the leaf that an audit entry's digest is in the tree."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def range_of(size: int, hashes: Iterable[str]) -> Range:
    """Return a range from its stored form."""
    return Range(size, tuple(bytes.fromhex(one) for one in hashes))


def plain_hashes(tree: Range) -> list[str]:
    """Return the hashes of a range as they are stored."""
    return [one.hex() for one in tree.hashes]


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody holds against a log: the root that it had at `size`."""

    size: int
    root: bytes


class RootsAt:
    """Watches digests go by, and remembers the root at some sizes."""

    def __init__(self, sizes: Iterable[int], start: Range | None = None) -> None:
        self._tree = start or Range()
        self._wanted = sorted({size for size in sizes if size >= self._tree.size}, reverse=True)
        self._waiting: list[bytes] = []
        self.roots: dict[int, bytes] = {}
        self._note()

    @property
    def tree(self) -> Range:
        """The range up to the last size that was asked for and reached."""
        return self._tree

    def add(self, digest: str) -> None:
        """Take the next entry's digest."""
        if self._wanted:
            self._waiting.append(leaf_of(digest))
            if len(self._waiting) == _CHUNK:
                self._grow()
            self._note()

    def _grow(self) -> None:
        self._tree, self._waiting = self._tree.extended(self._waiting), []

    def _note(self) -> None:
        if self._wanted and self._wanted[-1] == self._tree.size + len(self._waiting):
            self._grow()
            self.roots[self._wanted.pop()] = self._tree.root


def watched(links: Iterable[tuple[T, str]], roots: RootsAt) -> Iterator[tuple[T, str]]:
    """Yield entries with their digests as they come; `roots` sees those that were found good."""
    for link, stored in links:
        yield link, stored
        roots.add(stored)


def contradiction(held: Sequence[Held], roots: dict[int, bytes], end: int) -> tuple[int, str]:
    """Return the first entry that is not what it was, and why; (0, "") when all roots agree.

    Args:
        held: what is held against the log.
        roots: the log's own roots at those sizes.
        end: how many entries the log has now.
    """
    good = 0
    for one in sorted(held, key=lambda each: each.size):
        if one.size > end:
            first = min(end, one.size) + 1
            return first, f"a checkpoint of {one.size} entries exists, and the log ends at {end}"
        if roots.get(one.size) != one.root:
            span = f"entry {one.size}" if good + 1 == one.size else f"one of {good + 1}..{one.size}"
            return good + 1, f"a checkpoint of {one.size} entries has another root: {span} changed"
        good = one.size
    return 0, ""
