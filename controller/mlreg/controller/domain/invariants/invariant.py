"""What an invariant is, and what it finds.

What always holds: it says by itself which columns it needs, and which types they may have; what it
found is a share of the rows that it could be checked on, or one statistic of them, and the places
of the first few rows that break it, never their values.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.alert_rule import Severity as Loudness
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.registry.domain.contracts import MAX_NAME_LENGTH, Dtype
from mlreg.registry.domain.names import Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.controller.domain.invariants.rows import Booleans, Rows

EXAMPLES = 5
NUMBERS: frozenset[Dtype] = frozenset({"float", "int", "bool"})
ANY: frozenset[Dtype] = NUMBERS | {"category"}
Column = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Severity = Literal["block", "alert"]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What is known of a column: its type, and the values of a category if they are pinned."""

    dtype: Dtype
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one invariant found in some rows.

    Attributes:
        checked: the rows that it could be checked on.
        broken: how many of them break it; 0 where it is about all of them together.
        value: the share of the checked ones that break it, or the statistic; None: nothing to see.
        holds: None where there was too little to judge.
        examples: places of the first rows that break it, at most `EXAMPLES`.
    """

    checked: int
    broken: int
    value: float | None
    holds: bool | None
    examples: tuple[int, ...] = ()


class Invariant(PolicyPart):
    """Something that holds in a model's rows.

    `kind` is its word in the file and the name of its first field.

    Attributes:
        name: of the readings `invariant:<name>`.
        severity: of a training snapshot: block refuses the run, alert is a line in its log.
        alert: how loud its alert is when the log breaks it; None: as the policy says.
    """

    kind: ClassVar[str]
    dtypes: ClassVar[frozenset[Dtype]] = ANY
    name: Name
    severity: Severity = "block"
    alert: Loudness | None = None

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that it is about."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns that it only groups by, whatever their type."""
        return ()

    @property
    @abstractmethod
    def rule(self) -> str:
        """What holds, in a line."""

    @property
    def allowed(self) -> str:
        """What it puts up with, in words."""
        return ""

    @property
    def looks_back(self) -> bool:
        """Whether rows before the ones that are counted may tell something."""
        return False

    @abstractmethod
    def check(self, rows: Rows) -> Finding:
        """Say what rows break it."""

    def misfits(self, columns: Mapping[str, ColumnType]) -> Iterator[str]:
        """Yield what keeps it from being checked on rows with these columns."""
        for name in (*self.columns, *self.groups):
            if name not in columns:
                yield f"there is no feature {name!r}"
        for name in self.columns:
            if name in columns and columns[name].dtype not in self.dtypes:
                wanted = "a category" if self.dtypes == {"category"} else "a number"
                yield f"{name!r} is of dtype {columns[name].dtype}; {self.kind} needs {wanted}"


class RowInvariant(Invariant):
    """What each row keeps or breaks; `at_most` is the share of rows that may break it."""

    at_most: float = Field(default=0.0, ge=0, lt=1)

    @property
    @override
    def allowed(self) -> str:
        return f"at most {self.at_most:.4g} of the rows may break it" if self.at_most else ""

    @abstractmethod
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        """Return which rows can be checked, and which break it (of the others: either)."""

    @override
    def check(self, rows: Rows) -> Finding:
        known, broken = self.judge(rows)
        if rows.counted is not None:
            known &= rows.counted
        checked = int(np.count_nonzero(known))
        if not checked:
            return Finding(0, 0, None, None)
        broken = broken & known
        count = int(np.count_nonzero(broken))
        examples = tuple(np.flatnonzero(broken)[:EXAMPLES].tolist()) if count else ()
        share = count / checked
        return Finding(checked, count, share, share <= self.at_most, examples)


class GroupedInvariant(RowInvariant):
    """What a row keeps or breaks beside earlier rows: of the same `per`, where one is named."""

    per: Column | None = None

    @property
    @override
    def groups(self) -> tuple[str, ...]:
        return () if self.per is None else (self.per,)

    @property
    @override
    def looks_back(self) -> bool:
        return True

    @property
    def of_each(self) -> str:
        """The end of its rule: of what it holds one by one."""
        return "" if self.per is None else f" per {self.per}"
