"""`mean`: the mean of a feature is near a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import NUMBERS, Column, Finding, Invariant
from mlreg.controller.domain.invariants.numbers import NumberInterval

if TYPE_CHECKING:
    from mlreg.controller.domain.invariants.rows import Rows


class Mean(Invariant):
    """The mean of the known values of a feature is `equals`, give or take `within`.

    Attributes:
        min_rows: with fewer known values nothing is said: the mean of a few scatters.
    """

    kind: ClassVar = "mean"
    dtypes: ClassVar = NUMBERS
    mean: Column
    equals: float = Field(allow_inf_nan=False)
    within: float = Field(ge=0, allow_inf_nan=False)
    min_rows: int = Field(default=100, ge=1)

    @property
    def interval(self) -> NumberInterval:
        """The means that keep it."""
        return NumberInterval(self.equals - self.within, self.equals + self.within)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.mean,)

    @property
    @override
    def rule(self) -> str:
        return f"the mean of {self.mean} is {self.equals:g} ± {self.within:g}"

    @override
    def check(self, rows: Rows) -> Finding:
        column = rows.numbers(self.mean)
        known = column.known if rows.counted is None else column.known & rows.counted
        values = column.values if known.all() else column.values[known]
        if not len(values):
            return Finding(0, 0, None, None)
        with np.errstate(invalid="ignore", over="ignore"):
            mean = float(np.mean(values, dtype=np.float64))
        enough = len(values) >= self.min_rows
        value = mean if np.isfinite(mean) else None
        return Finding(len(values), 0, value, self.interval.holds(mean) if enough else None)
