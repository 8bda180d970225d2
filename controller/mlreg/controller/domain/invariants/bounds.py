"""`range`: a number stays within bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import NUMBERS, Column, RowInvariant
from mlreg.controller.domain.invariants.numbers import NumberInterval

if TYPE_CHECKING:
    from mlreg.controller.domain.invariants.rows import Booleans, Rows


class Bounds(RowInvariant):
    """The feature lies within bounds.

    Attributes:
        min, max: the least and the greatest value.
        above, below: values that it does not reach; `above: 0` is always positive.
    """

    kind: ClassVar = "range"
    dtypes: ClassVar = NUMBERS
    range: Column
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some_value_fits(self) -> Bounds:
        if self.min is not None and self.above is not None:
            message = "min and above both say where it begins; name one"
            raise ValueError(message)
        if self.max is not None and self.below is not None:
            message = "max and below both say where it ends; name one"
            raise ValueError(message)
        if not self.interval.ends:
            message = "a range needs min, max, above or below"
            raise ValueError(message)
        if self.interval.is_empty:
            message = "no number is in this range"
            raise ValueError(message)
        return self

    @property
    def interval(self) -> NumberInterval:
        """The numbers that keep it."""
        low = self.min if self.above is None else self.above
        high = self.max if self.below is None else self.below
        return NumberInterval(
            -math.inf if low is None else low,
            math.inf if high is None else high,
            low_is_in=self.above is None,
            high_is_in=self.below is None,
        )

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.range,)

    @property
    @override
    def rule(self) -> str:
        return " and ".join(f"{self.range} {end}" for end in self.interval.ends)

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        column, interval = rows.numbers(self.range), self.interval
        values = column.values
        broken = np.zeros(len(values), dtype=bool)
        if interval.low > -math.inf:
            broken |= values < interval.low if interval.low_is_in else values <= interval.low
        if interval.high < math.inf:
            broken |= values > interval.high if interval.high_is_in else values >= interval.high
        return column.known.copy(), broken
