"""`matches`: a text is of a form.

The pattern is RE2's (https://github.com/google/re2/wiki/Syntax), by way of Arrow: it has no
back-references and no look-around, and so cannot take exponential time, whatever it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import Column, RowInvariant

if TYPE_CHECKING:
    from mlreg.controller.domain.invariants.rows import Booleans, Rows

MAX_PATTERN = 500


class Pattern(RowInvariant):
    """The whole text of the feature matches a pattern."""

    kind: ClassVar = "matches"
    dtypes: ClassVar = frozenset({"category"})
    matches: Column
    pattern: str = Field(min_length=1, max_length=MAX_PATTERN)

    @field_validator("pattern")
    @classmethod
    def _re2_takes_it(cls, pattern: str) -> str:
        for tried in (pattern, _whole(pattern)):  # `a)|(b` is one only with something around it
            try:
                pc.match_substring_regex(pa.array([""]), pattern=tried)
            except pa.ArrowInvalid as error:
                problem = str(error).removeprefix("Invalid regular expression: ")
                message = f"not a pattern of RE2: {problem.splitlines()[0][:200]}"
                raise ValueError(message) from error
        return pattern

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.matches,)

    @property
    @override
    def rule(self) -> str:
        return f"{self.matches} matches {self.pattern}"

    def matched(self, texts: pa.Array) -> Booleans:
        """Return which texts match."""
        found = pc.match_substring_regex(pc.cast(texts, pa.string()), pattern=_whole(self.pattern))
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        column = rows.codes(self.matches)
        broken = np.append(~self.matched(column.distinct), False)  # the last is of no value
        return column.known, broken[column.codes]


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"
