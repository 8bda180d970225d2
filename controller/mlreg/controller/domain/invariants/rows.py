"""Rows as invariants see them: columns in order of time, each taken out of Arrow once.

What always holds: the rows are in order of time; rows that are not counted come before the ones
that are, for what looks back (`monotone`, `unique`); a missing value has `known` False, whatever
stands in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlreg.controller.domain.batches import PREDICTION_ID, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]
Numbers = NDArray[Any]
"""int64 of whole numbers and of true and false, else float64."""
UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """A column of numbers, and where it has one."""

    values: Numbers
    known: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A column as numbers of its distinct values; `UNKNOWN` where it has none."""

    codes: Integers
    distinct: pa.Array

    @property
    def known(self) -> Booleans:
        """Where it has a value."""
        return np.not_equal(self.codes, UNKNOWN)


class Rows:
    """Some rows, all of them counted unless a time is given from which on they are."""

    def __init__(self, table: pa.Table, counted_from: datetime | None = None) -> None:
        self._table = _in_order(table)
        self._numbers: dict[str, Values] = {}
        self._codes: dict[str, Codes] = {}
        self.counted: Booleans | None = None
        if counted_from is not None:
            first = pa.scalar(counted_from, pa.timestamp("us", tz="UTC"))
            later = pc.greater_equal(self._table[TIME], first)
            self.counted = np.asarray(later.to_numpy(zero_copy_only=False), dtype=bool)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def times(self) -> Integers:
        """When each row was, in microseconds since 1970."""
        return np.asarray(pc.cast(self._table[TIME], pa.int64()).to_numpy())

    def ids(self, places: Sequence[int]) -> list[str]:
        """Return the prediction ids of the rows at these places, those that have one."""
        found = self._table[PREDICTION_ID].take(pa.array(places, pa.int64()))
        return [one for one in found.to_pylist() if one is not None]

    def known(self, name: str) -> Booleans:
        """Return where a column has a value; not-a-number is none."""
        column = self._table[name]
        if pa.types.is_floating(column.type):
            return self.numbers(name).known
        return np.asarray(column.is_valid().to_numpy(), dtype=bool)

    def numbers(self, name: str) -> Values:
        """Return a column of numbers, or of true and false."""
        if name not in self._numbers:
            self._numbers[name] = _values(self._table[name])
        return self._numbers[name]

    def codes(self, name: str) -> Codes:
        """Return a column of any type by its distinct values."""
        if name not in self._codes:
            self._codes[name] = _encoded(self._table[name])
        return self._codes[name]


def _in_order(table: pa.Table) -> pa.Table:
    times = pc.cast(table[TIME], pa.int64()).to_numpy()
    if (np.diff(times) >= 0).all():
        return table
    return table.take(pa.array(np.argsort(times, kind="stable")))


def _values(column: pa.ChunkedArray) -> Values:
    if pa.types.is_floating(column.type):
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy())
        return Values(values, ~np.isnan(values))
    known = np.asarray(column.is_valid().to_numpy(), dtype=bool)
    whole = pc.fill_null(pc.cast(column, pa.int64()), 0)
    return Values(np.asarray(whole.to_numpy()), known)


def _encoded(column: pa.ChunkedArray) -> Codes:
    array = column.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = pc.fill_null(pc.cast(array.indices, pa.int64()), UNKNOWN).to_numpy()
    return Codes(np.asarray(codes), array.dictionary)
