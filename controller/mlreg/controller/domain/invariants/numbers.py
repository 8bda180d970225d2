"""Intervals of numbers, whose ends are in them or not."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberInterval:
    """The numbers from `low` to `high`."""

    low: float
    high: float
    low_is_in: bool = True
    high_is_in: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether no number is in it."""
        return self.low > self.high or (
            self.low == self.high and not (self.low_is_in and self.high_is_in)
        )

    @property
    def ends(self) -> list[str]:
        """Its ends as conditions, those that there are."""
        ends = []
        if self.low > -math.inf:
            ends.append(f"{'>=' if self.low_is_in else '>'} {self.low:g}")
        if self.high < math.inf:
            ends.append(f"{'<=' if self.high_is_in else '<'} {self.high:g}")
        return ends

    def holds(self, number: float) -> bool:
        """Say whether a number is in it; not-a-number is in none."""
        above = number >= self.low if self.low_is_in else number > self.low
        below = number <= self.high if self.high_is_in else number < self.high
        return above and below

    def common(self, other: NumberInterval) -> NumberInterval:
        """Return the numbers that are in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return NumberInterval(
            low,
            high,
            all(one.low_is_in for one in (self, other) if one.low == low),
            all(one.high_is_in for one in (self, other) if one.high == high),
        )
