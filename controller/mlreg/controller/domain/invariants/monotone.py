"""`monotone`: a feature only rises, or only falls, with time, of each entity on its own."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from mlreg.controller.domain.batches import ENTITY
from mlreg.controller.domain.invariants.invariant import NUMBERS, Column, GroupedInvariant
from mlreg.controller.domain.invariants.rows import UNKNOWN, Booleans, Integers, Numbers, Rows


class Monotone(GroupedInvariant):
    """The feature is never lower (or never higher) than at the entity's time before.

    Rows of one entity at one time are in no order: each is held against the highest (lowest) of
    the time before. With `strictly` it may not stay the same from one time to the next either.
    """

    kind: ClassVar = "monotone"
    dtypes: ClassVar = NUMBERS
    monotone: Column
    direction: Literal["rising", "falling"]
    per: Column | None = ENTITY
    strictly: bool = False

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.monotone,)

    @property
    @override
    def rule(self) -> str:
        verb = "rises" if self.direction == "rising" else "falls"
        how = f"{verb} strictly" if self.strictly else f"never {_OPPOSITE[verb]}"
        return f"{self.monotone} {how}{self.of_each}"

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        column = rows.numbers(self.monotone)
        known = column.known.copy()
        values = column.values if self.direction == "rising" else -column.values
        if self.per is None:
            codes = np.zeros(len(rows), dtype=np.int64)
        else:
            codes = rows.codes(self.per).codes
            known &= codes != UNKNOWN
        order = _by_group(codes, np.flatnonzero(known))
        broken = np.zeros(len(rows), dtype=bool)
        steps = _falls(codes[order], rows.times[order], values[order], strictly=self.strictly)
        broken[order] = steps
        return known, broken


def _by_group(codes: Integers, places: Integers) -> Integers:
    """Return places by the code of their group, and by time in it, as they are."""
    chosen = codes[places]
    if len(chosen) and chosen.max() < 2**16:
        chosen = chosen.astype(np.uint16)  # numpy sorts these by radix, ten times as fast
    return places[np.argsort(chosen, kind="stable")]


def _falls(codes: Integers, times: Integers, values: Numbers, *, strictly: bool) -> Booleans:
    """Return which values are below the highest of their group's time before; rows in order."""
    if not len(codes):
        return np.zeros(0, dtype=bool)
    new_group = np.append(True, codes[1:] != codes[:-1])
    new_time = new_group.copy()
    new_time[1:] |= times[1:] != times[:-1]
    starts = np.flatnonzero(new_time)
    highest = np.maximum.reduceat(values, starts)
    moment = np.cumsum(new_time) - 1
    is_first = new_group[starts][moment]
    before = highest[np.maximum(moment - 1, 0)]
    falls = values <= before if strictly else values < before
    found: Booleans = falls & ~is_first
    return found


_OPPOSITE = {"rises": "falls", "falls": "rises"}
