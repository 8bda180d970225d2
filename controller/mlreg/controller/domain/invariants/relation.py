"""`relation`: one feature against others: `start <= end`, `distance == speed * hours`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from mlreg.controller.domain.invariants.expression import Equation, read_equation
from mlreg.controller.domain.invariants.invariant import NUMBERS, RowInvariant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.controller.domain.invariants.rows import Booleans, Numbers, Rows

MAX_RELATION = 500


class Relation(RowInvariant):
    """Two sides compare as it says, give or take `tolerance` and `relative` times the right side.

    A row whose sides cannot be compared (a division by zero) breaks it.
    """

    kind: ClassVar = "relation"
    dtypes: ClassVar = NUMBERS
    relation: str = Field(min_length=1, max_length=MAX_RELATION)
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _it_reads(self) -> Relation:
        equation = self.equation
        if not equation.columns:
            message = "it names no feature"
            raise ValueError(message)
        if equation.left == equation.right:
            message = "both sides are the same"
            raise ValueError(message)
        return self

    @cached_property
    def equation(self) -> Equation:
        """The relation, read."""
        return read_equation(self.relation)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return self.equation.columns

    @property
    @override
    def rule(self) -> str:
        slack = [f"{self.tolerance:g}"] if self.tolerance else []
        slack += [f"{self.relative:g} of the right side"] if self.relative else []
        return self.relation + (f" ± {' and '.join(slack)}" if slack else "")

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        columns = {name: rows.numbers(name) for name in self.columns}
        known = np.logical_and.reduce([column.known for column in columns.values()])
        values = {name: column.values for name, column in columns.items()}
        with np.errstate(all="ignore"):
            left, right = (
                np.asarray(side.value(values)) for side in (self.equation.left, self.equation.right)
            )
            slack: NDArray[np.float64] | float = 0.0
            if self.tolerance or self.relative:
                slack = self.tolerance + self.relative * np.abs(right)
            holds = _compare(self.equation.sign, left, right, slack)
        return known, ~np.broadcast_to(holds, known.shape)


def _compare(
    sign: str, left: Numbers, right: Numbers, slack: NDArray[np.float64] | float
) -> Booleans:
    """Return where two sides compare so; nowhere where one of them is not a number."""
    right_up = right if np.ndim(slack) == 0 and slack == 0 else right + slack
    right_down = right if np.ndim(slack) == 0 and slack == 0 else right - slack
    found = {
        "<=": lambda: left <= right_up,
        "<": lambda: left < right_up,
        ">=": lambda: left >= right_down,
        ">": lambda: left > right_down,
        "==": lambda: (left <= right_up) & (left >= right_down),
        "!=": lambda: (left < right_down) | (left > right_up),
    }[sign]()
    return np.asarray(found, dtype=bool)
