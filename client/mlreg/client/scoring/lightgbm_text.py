"""LightGBM's text format (version v4), checked in Python before any parser in C++ sees it.

What always holds: a text that `validate` passes has one well-formed section for each size that
`tree_sizes` names, and nothing between, before or behind that the format does not know; see
`lightgbm_tree.py` for the trees. What the format allows but mlreg has no use for (linear leaves,
categories that pandas made) is refused too. Nothing is executed and nothing is allocated beyond a
small multiple of the text's own size. It does not prove that the C++ parser is without faults: that
is what the child process of `parser.py` is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlreg.client.scoring.errors import ModelFileError
from mlreg.client.scoring.lightgbm_tree import check_tree

MAX_BYTES = 512 * 2**20
MAX_FEATURES = 100_000
MAX_CLASSES = 10_000
MAX_TREES = 1_000_000
VERSION = "v4"
OBJECTIVES = frozenset(
    {
        *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"),
        *("gamma", "tweedie", "binary", "multiclass", "multiclassova", "cross_entropy"),
        *("cross_entropy_lambda", "lambdarank", "rank_xendcg"),
    }
)
_HEADER_KEYS = frozenset(
    {
        *("tree", "version", "num_class", "num_tree_per_iteration", "label_index"),
        *("max_feature_idx", "objective", "average_output", "feature_names"),
        *("monotone_constraints", "feature_infos", "tree_sizes"),
    }
)
_WORD = re.compile(r"[a-z_][a-z0-9_]*(:[-+0-9.e]{1,32})?")
_INFO = re.compile(r"none|\[[-+0-9.einf]+:[-+0-9.einf]+\]|-?[0-9]+(:-?[0-9]+)*")
_PARAMETER = re.compile(r"\[([a-z0-9_]+): ([^\]\n]*|(?:\[[0-9,]+\],?)+)\]")
"""A name and a value, in which only lists of features (interaction constraints) have brackets."""
_END = b"end of trees\n"


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a checked model file says of itself.

    Attributes:
        objective: its name, e.g. `binary`.
        objective_words: what stands behind the name, e.g. `{"sigmoid": "1"}`.
        trees_per_iteration: 1, or the number of classes.
        parameters: the parameters that it was trained with, as LightGBM wrote them.
    """

    feature_names: tuple[str, ...]
    objective: str
    objective_words: Mapping[str, str]
    num_class: int
    num_trees: int
    trees_per_iteration: int
    max_leaves: int
    average_output: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


def validate(text: str | bytes) -> ModelSummary:
    """Check a whole model file.

    Raises:
        ModelFileError: it breaks a rule; the error names the section and the field.
    """
    content = text.encode() if isinstance(text, str) else text
    if len(content) > MAX_BYTES:
        raise ModelFileError(where="file", cause=f"has more than {MAX_BYTES} bytes")
    if b"\0" in content or b"\r" in content:
        raise ModelFileError(where="file", cause="holds a NUL or a carriage return")
    start = content.find(b"\nTree=") + 1
    if not start:
        raise ModelFileError(where="file", cause="has no trees")
    header = _Header(_decoded(content[:start], "header"))
    leaves, end = _check_trees(content, start, header)
    return ModelSummary(
        feature_names=header.feature_names,
        objective=header.objective,
        objective_words=header.objective_words,
        num_class=header.num_class,
        num_trees=len(header.tree_sizes),
        trees_per_iteration=header.trees_per_iteration,
        max_leaves=leaves,
        average_output="average_output" in header.fields,
        parameters=_check_tail(_decoded(content[end:], "tail"), header),
    )


def _check_trees(content: bytes, start: int, header: _Header) -> tuple[int, int]:
    """Return the largest number of leaves, and where the text goes on behind the trees."""
    leaves, at = 0, start
    for number, size in enumerate(header.tree_sizes):
        block = content[at : at + size]
        leaves = max(leaves, check_tree(block, number, features=len(header.feature_names)))
        at += size
    if not content.startswith(_END, at):
        raise ModelFileError(where="tree_sizes", cause="do not add up to where the trees end")
    return leaves, at + len(_END)


class _Header:
    """The lines before the first tree."""

    def __init__(self, text: str) -> None:
        self.fields: dict[str, str] = {}
        if not text.startswith("tree\nversion=") or not text.endswith("\n\n"):
            raise ModelFileError(where="header", cause="must begin with tree and version")
        for line in text[:-2].split("\n"):
            key, _, value = line.partition("=")
            if key not in _HEADER_KEYS or key in self.fields:
                cause = "is no field of a header, or is there twice"
                raise ModelFileError(where=f"header: {line[:40]!r}", cause=cause)
            self.fields[key] = value
        self._read()

    def _read(self) -> None:
        if self._text("version") != VERSION:
            self._refuse("version", f"must be {VERSION} (LightGBM 4)")
        self.num_class = self._integer("num_class", 1, MAX_CLASSES)
        self.trees_per_iteration = self._integer("num_tree_per_iteration", 1, MAX_CLASSES)
        self._integer("label_index", 0, MAX_FEATURES)
        features = self._integer("max_feature_idx", 0, MAX_FEATURES - 1) + 1
        self.feature_names = tuple(self._text("feature_names").split(" "))
        if len(set(self.feature_names)) != features or len(self.feature_names) != features:
            self._refuse("feature_names", f"must be {features} different names")
        infos = self._text("feature_infos").split(" ")
        if len(infos) != features or not all(map(_INFO.fullmatch, infos)):
            self._refuse("feature_infos", f"must be {features} ranges, category lists or none")
        constraints = self.fields.get("monotone_constraints", "").split()
        if len(constraints) not in {0, features} or set(constraints) - {"-1", "0", "1"}:
            self._refuse("monotone_constraints", f"must be {features} of -1, 0, 1")
        self._read_objective()
        self._read_sizes()

    def _read_objective(self) -> None:
        words = self._text("objective").split(" ")
        self.objective = words[0]
        if self.objective not in OBJECTIVES or not all(map(_WORD.fullmatch, words)):
            self._refuse("objective", f"must be one of {', '.join(sorted(OBJECTIVES))}")
        self.objective_words = dict(word.partition(":")[::2] for word in words[1:])
        many = self.objective in {"multiclass", "multiclassova"}
        if self.objective_words.get("num_class", "1") != str(self.num_class) or (
            self.trees_per_iteration != (self.num_class if many else 1)
        ):
            self._refuse("num_class", "does not fit the objective")
        if not float(self.objective_words.get("sigmoid", "1")) > 0:
            self._refuse("objective", "sigmoid must be above 0")

    def _read_sizes(self) -> None:
        words = self._text("tree_sizes").split(" ")
        if len(words) > MAX_TREES or not all(re.fullmatch("[1-9][0-9]{0,9}", one) for one in words):
            self._refuse("tree_sizes", f"must be 1 to {MAX_TREES} sizes in bytes")
        if len(words) % self.trees_per_iteration:
            self._refuse("tree_sizes", "must be as many for each class")
        self.tree_sizes = tuple(map(int, words))

    def _text(self, key: str) -> str:
        if key not in self.fields:
            self._refuse(key, "is missing")
        return self.fields[key]

    def _integer(self, key: str, low: int, high: int) -> int:
        word = self._text(key)
        if re.fullmatch("[0-9]{1,9}", word) is None or not low <= int(word) <= high:
            self._refuse(key, f"must be a whole number from {low} to {high}")
        return int(word)

    def _refuse(self, key: str, cause: str) -> None:
        raise ModelFileError(where=f"header: {key}", cause=cause)


def _check_tail(text: str, header: _Header) -> dict[str, str]:
    """Check what stands behind the trees, and return the parameters."""
    importances, found, rest = text.partition("\nparameters:\n")
    parameters, ended, last = rest.partition("\nend of parameters\n")
    if not found or not ended:
        raise ModelFileError(where="parameters", cause="are missing or do not end")
    _check_importances(importances, header)
    if last not in {"", "\n", "\npandas_categorical:null\n", "\npandas_categorical:[]\n"}:
        cause = "holds categories that pandas made, or is not the end"
        raise ModelFileError(where="pandas_categorical", cause=cause)
    values: dict[str, str] = {}
    for line in parameters.removesuffix("\n").split("\n"):
        match = _PARAMETER.fullmatch(line)
        if match is None or match[1] in values:
            raise ModelFileError(where=f"parameters: {line[:40]!r}", cause="is no [name: value]")
        values[match[1]] = match[2]
    return values


def _check_importances(text: str, header: _Header) -> None:
    lines = text.strip("\n").split("\n")
    if lines[0] != "feature_importances:":
        raise ModelFileError(where="feature_importances", cause="are missing")
    for line in lines[1:]:
        name, _, count = line.rpartition("=")
        if name not in header.feature_names or re.fullmatch("[0-9.e+]{1,24}", count) is None:
            raise ModelFileError(where="feature_importances", cause=f"{line[:40]!r} is none")


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ModelFileError(where=where, cause="is not UTF-8") from error
