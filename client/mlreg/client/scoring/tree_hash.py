r"""Tree hashes: a digest for each tree of a LightGBM text model, of what it answers and no more.

Two models with equal hashes answer every row alike. What LightGBM writes besides (gains, counts,
weights, values of inner nodes, the parameters, how a number is spelt) is not in the hash, so models
of two releases of LightGBM can be compared. A tree has three digests, each `sha256:` of a text in
UTF-8 whose lines end in `\n`, numbers as C99 hexadecimal floats (`0x1.8p+1`):

- `structure`: `leaves N`, then for each inner node in its order in the file
  `FEATURE DECISION LEFT RIGHT` (the feature's name; LightGBM's decision type; the children, a leaf
  k as -k-1);
- `thresholds`: for each inner node the threshold, or `in W W …`: the words of its category bitset;
- `leaves`: the value of each leaf.

The tree's digest is that of `structure\nthresholds\nleaves\n`. The model's digest is that of its
header (`objective …`, `num_class N`, `num_tree_per_iteration N`, `average_output yes|no`,
`feature NAME` for each feature) followed by the digests of its trees, one on a line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from mlreg.client.scoring.lightgbm_text import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Part = Literal["header", "structure", "thresholds", "leaves", "count"]
_CATEGORICAL = 1
_HEADER = ("objective", "num_class", "num_tree_per_iteration")


@dataclass(frozen=True)
class TreeHash:
    """The digests of one tree."""

    structure: str
    thresholds: str
    leaves: str

    @cached_property
    def digest(self) -> str:
        """The tree's own digest."""
        return _digest((self.structure, self.thresholds, self.leaves))


@dataclass(frozen=True)
class ModelHash:
    """The digests of a model: its header, and its trees in their order."""

    header: tuple[str, ...]
    trees: tuple[TreeHash, ...]

    @cached_property
    def digest(self) -> str:
        """The model's own digest."""
        return _digest((*self.header, *(tree.digest for tree in self.trees)))


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two models part first.

    Attributes:
        part: what differs there; `count` when one has more trees, all others being equal.
        tree: the place of the tree, from 0; None for the header.
        trees: how many trees differ in all.
    """

    part: Part
    tree: int | None
    trees: int


def hash_model(content: bytes) -> ModelHash:
    """Return the hashes of a LightGBM text model.

    Raises:
        ModelFileError: it breaks a rule of the format.
    """
    validate(content)
    head, *blocks = content.partition(b"\nend of trees\n")[0].decode().split("\nTree=")
    header = _fields(head.split("\n"))
    names = header["feature_names"].split(" ")
    said = [f"{key} {header[key]}" for key in _HEADER]
    said.append(f"average_output {'yes' if 'average_output' in header else 'no'}")
    trees = (_hash_tree(_fields(block.split("\n")[1:]), names) for block in blocks)
    return ModelHash((*said, *(f"feature {name}" for name in names)), tuple(trees))


def find_difference(ours: ModelHash, theirs: ModelHash) -> Difference | None:
    """Return where two models part first, None when they answer alike."""
    pairs = list(zip_longest(ours.trees, theirs.trees))
    differing = [place for place, (one, other) in enumerate(pairs) if one != other]
    if ours.header != theirs.header:
        return Difference("header", None, len(differing))
    if not differing:
        return None
    one, other = pairs[differing[0]]
    return Difference(_first_part(one, other), differing[0], len(differing))


def _first_part(one: TreeHash | None, other: TreeHash | None) -> Part:
    if one is None or other is None:
        return "count"
    if one.structure != other.structure:
        return "structure"
    return "thresholds" if one.thresholds != other.thresholds else "leaves"


def _hash_tree(fields: Mapping[str, str], names: Sequence[str]) -> TreeHash:
    decisions = _integers(fields, "decision_type")
    nodes = zip(
        _integers(fields, "split_feature"),
        decisions,
        _integers(fields, "left_child"),
        _integers(fields, "right_child"),
        strict=True,
    )
    structure = [f"leaves {int(fields['num_leaves'])}"]
    structure += [f"{names[feature]} {what} {left} {right}" for feature, what, left, right in nodes]
    leaves = (float(word).hex() for word in fields["leaf_value"].split())
    return TreeHash(_digest(structure), _digest(_thresholds(fields, decisions)), _digest(leaves))


def _thresholds(fields: Mapping[str, str], decisions: Iterable[int]) -> Iterator[str]:
    words = _integers(fields, "cat_threshold")
    borders = _integers(fields, "cat_boundaries")
    for decision, threshold in zip(decisions, fields["threshold"].split(), strict=True):
        if decision & _CATEGORICAL:
            start, end = borders[int(threshold)], borders[int(threshold) + 1]
            yield " ".join(["in", *map(str, words[start:end])])
        else:
            yield float(threshold).hex()


def _fields(lines: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _integers(fields: Mapping[str, str], key: str) -> list[int]:
    return [int(word) for word in fields.get(key, "").split()]


def _digest(lines: Iterable[str]) -> str:
    sha256 = hashlib.sha256()
    for line in lines:
        sha256.update(f"{line}\n".encode())
    return f"sha256:{sha256.hexdigest()}"
