"""Merkle trees of RFC 6962, section 2.1: roots, and proofs of inclusion and of consistency.

What always holds: a root says what every leaf is, in order, and how many there are; a `Range` goes
on where it ended, so a million leaves are hashed once and kept as at most twenty hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT = sha256(b"").digest()
LEAF, NODE = b"\x00", b"\x01"


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf (RFC 6962, 2.1)."""
    return sha256(LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees (RFC 6962, 2.1)."""
    return sha256(NODE + left + right).digest()


@dataclass(frozen=True, slots=True)
class Range:
    """The first `size` leaves of a log, as the roots of their full subtrees, the largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{self.size} leaves make {self.size.bit_count()} full subtrees")

    def extended(self, leaves: Iterable[bytes]) -> Range:
        """Return the range with further leaves after its own."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            node, above = leaf_hash(leaf), size
            while above & 1:
                node, above = node_hash(hashes.pop(), node), above >> 1
            hashes.append(node)
            size += 1
        return Range(size, tuple(hashes))

    @property
    def root(self) -> bytes:
        """The Merkle tree hash of these leaves."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, root = self.hashes
        for node in reversed(larger):
            root = node_hash(node, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of these leaves."""
    return Range().extended(leaves).root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of leaf `index` among all these (RFC 6962, 2.1.1)."""
    if len(leaves) <= 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root_of(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root_of(leaves[:split])]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof shows that `leaf` is leaf `index` of a tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf_hash(leaf)
    for other in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(other, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, other)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the first `old_size` of these leaves came first (RFC 6962, 2.1.2)."""
    if not 0 < old_size < len(leaves):
        return []
    return _subproof(leaves, old_size, whole=True)


def is_consistent(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether a proof shows that a tree only grew (RFC 9162, 2.1.4.2)."""
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof
    if old_size > size or not proof:
        return False
    path = proof if old_size & (old_size - 1) else [old_root, *proof]
    old, last = old_size - 1, size - 1
    while old & 1:
        old, last = old >> 1, last >> 1
    old_node, node = _climb(path, old, last)
    return (old_node, node) == (old_root, root)


def _climb(path: Sequence[bytes], old: int, last: int) -> tuple[bytes | None, bytes | None]:
    """Return the two roots that a path leads to; None when it is too long or too short."""
    old_node = node = path[0]
    for other in path[1:]:
        if last == 0:
            return None, None
        if old & 1 or old == last:
            old_node, node = node_hash(other, old_node), node_hash(other, node)
            while not old & 1 and old:
                old, last = old >> 1, last >> 1
        else:
            node = node_hash(node, other)
        old, last = old >> 1, last >> 1
    return (old_node, node) if last == 0 else (None, None)


def _subproof(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        return [*_subproof(leaves[:split], old_size, whole=whole), root_of(leaves[split:])]
    right = _subproof(leaves[split:], old_size - split, whole=False)
    return [*right, root_of(leaves[:split])]


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
