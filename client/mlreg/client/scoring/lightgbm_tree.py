"""One tree of a LightGBM text model: is it a tree, and does every index point at something?

LightGBM's own parser trusts these numbers: of 18 small mutations nine killed the process and one
hung it (LightGBM issue 7357). What always holds of a tree that passes: every array has the length
that the number of leaves asks for; every node but the root and every leaf is the child of exactly
one node with a smaller number (so it is acyclic and a prediction ends); every split names a feature
of the model; every category bitset lies inside the tree's words; every leaf is finite.
"""

from __future__ import annotations

import re
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

from mlreg.client.scoring.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LEAVES = 131_072
_WHOLE = re.compile(rb"-?[0-9]{1,18}(?: -?[0-9]{1,18})*")
_NUMBER = rb"-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
_DECIMAL = re.compile(rb"%b(?: %b)*" % (_NUMBER, _NUMBER))
_DECIMAL_OR_INFINITE = re.compile(rb"(?:%b|inf)(?: (?:%b|inf))*" % (_NUMBER, _NUMBER))
_CATEGORICAL = 1
_LARGEST_DECISION = 11
"""Bit 0: categorical; bit 1: missing goes left; bits 2 and 3: kind of missing, 0 to 2."""
_LARGEST_WORD = 2**32 - 1
_LARGEST_COUNT = 2**31 - 1

_NODE_FLOATS = (b"split_gain", b"internal_value", b"internal_weight")
_NODE_INTEGERS = (
    b"split_feature",
    b"decision_type",
    b"left_child",
    b"right_child",
    b"internal_count",
)
_KEYS = frozenset(
    {
        *_NODE_FLOATS,
        *_NODE_INTEGERS,
        b"threshold",
        b"num_leaves",
        b"num_cat",
        b"leaf_value",
        b"leaf_weight",
        b"leaf_count",
        b"cat_boundaries",
        b"cat_threshold",
        b"is_linear",
        b"shrinkage",
    }
)
_REQUIRED = _KEYS - {b"cat_boundaries", b"cat_threshold"}


def check_tree(block: bytes, number: int, *, features: int) -> int:
    """Check one tree's section and return its number of leaves.

    Args:
        block: from `Tree=<number>` to the two empty lines behind it.
        number: the place of the tree in the file, from 0.
        features: how many features the model has.

    Raises:
        ModelFileError: it breaks a rule; the error names tree and field.
    """
    return _Tree(block, number).check(features)


class _Tree:
    """The fields of one tree's section."""

    def __init__(self, block: bytes, number: int) -> None:
        self.number = number
        head, _, body = block.partition(b"\n")
        if head != b"Tree=%d" % number:
            raise self._error("first line", f"must be Tree={number}")
        if not body.endswith(b"\n\n\n") or b"\n\n" in body[:-3]:
            raise self._error("section", "must end with two empty lines and have none inside")
        self.fields = self._fields(body[:-3])

    def _fields(self, body: bytes) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for line in body.split(b"\n"):
            key, equals, value = line.partition(b"=")
            if not equals or key not in _KEYS or key in found:
                raise self._error(_shown(line), "is no field of a tree, or is there twice")
            found[key] = value
        missing = _REQUIRED - found.keys()
        if missing:
            raise self._error(min(missing).decode(), "is missing")
        return found

    def check(self, features: int) -> int:
        leaves = self.one_integer(b"num_leaves", 1, MAX_LEAVES)
        categorical = self.one_integer(b"num_cat", 0, leaves - 1)
        self.one_integer(b"is_linear", 0, 0)
        self.floats(b"shrinkage", (1,))
        self.floats(b"leaf_value", (leaves,))
        optional = (leaves,) if leaves > 1 else (0, leaves)
        self.floats(b"leaf_weight", optional)
        self.integers(b"leaf_count", optional, 0, _LARGEST_COUNT)
        self._check_nodes(leaves, features)
        self._check_categories(categorical)
        return leaves

    def _check_nodes(self, leaves: int, features: int) -> None:
        nodes = (leaves - 1,)
        for key in _NODE_FLOATS:
            self.floats(key, nodes)
        self.integers(b"internal_count", nodes, 0, _LARGEST_COUNT)
        self.integers(b"split_feature", nodes, 0, features - 1)
        self.decisions = self.integers(b"decision_type", nodes, 0, _LARGEST_DECISION)
        left = self.integers(b"left_child", nodes, -leaves, leaves - 2)
        right = self.integers(b"right_child", nodes, -leaves, leaves - 2)
        children = sorted([*left, *right])
        if children != [*range(-leaves, 0), *range(1, leaves - 1)] and leaves > 1:
            raise self._error("children", "every node and leaf must have exactly one parent")
        for node, both in enumerate(zip(left, right, strict=True)):
            if any(0 <= child <= node for child in both):
                raise self._error("children", f"node {node} has itself or an ancestor as a child")

    def _check_categories(self, categorical: int) -> None:
        thresholds = self.thresholds(len(self.decisions))
        used = [
            threshold
            for threshold, decision in zip(thresholds, self.decisions, strict=True)
            if decision & _CATEGORICAL
        ]
        if sorted(used) != list(range(categorical)):
            raise self._error("threshold", "must number the category splits 0, 1, 2 ... once each")
        words = self.fields.get(b"cat_threshold", b"").count(b" ") + 1 if categorical else 0
        self.integers(b"cat_threshold", (words,), 0, _LARGEST_WORD)
        expected = (categorical + 1,) if categorical else (0, 1)
        boundaries = self.integers(b"cat_boundaries", expected, 0, words)
        if categorical and not _rises(boundaries, words):
            raise self._error("cat_boundaries", "must rise from 0 to the number of words")

    def one_integer(self, key: bytes, low: int, high: int) -> int:
        return self.integers(key, (1,), low, high)[0]

    def integers(self, key: bytes, lengths: Sequence[int], low: int, high: int) -> list[int]:
        """Return a field of whole numbers of one of these lengths, each from low to high."""
        values = [*map(int, self._words(key, _WHOLE, lengths))]
        if values and not (low <= min(values) and max(values) <= high):
            raise self._error(key.decode(), f"must lie between {low} and {high}")
        return values

    def floats(self, key: bytes, lengths: Sequence[int]) -> list[float]:
        """Return a field of finite numbers of one of these lengths."""
        values = [*map(float, self._words(key, _DECIMAL, lengths))]
        if not all(map(isfinite, values)):
            raise self._error(key.decode(), "holds a number that is not finite")
        return values

    def thresholds(self, nodes: int) -> list[float]:
        """Return the thresholds; infinite is one (missing values against all others)."""
        return [*map(float, self._words(b"threshold", _DECIMAL_OR_INFINITE, (nodes,)))]

    def _words(self, key: bytes, form: re.Pattern[bytes], lengths: Sequence[int]) -> list[bytes]:
        value = self.fields.get(key, b"")
        if value and form.fullmatch(value) is None:
            raise self._error(key.decode(), "holds what is no number of its kind")
        words = value.split(b" ") if value else []
        if len(words) not in lengths:
            raise self._error(key.decode(), f"has {len(words)} values, not {lengths[-1]}")
        return words

    def _error(self, field: str, cause: str) -> ModelFileError:
        return ModelFileError(where=f"tree {self.number}: {field}", cause=cause)


def _rises(boundaries: Sequence[int], end: int) -> bool:
    steps = all(before < after for before, after in pairwise(boundaries))
    return steps and boundaries[0] == 0 and boundaries[-1] == end


def _shown(line: bytes) -> str:
    return repr(line[:40].decode("ascii", "replace"))
