"""Columns as they came, cast to the types of the log: exactly, or with the row that cannot be.

What always holds: no value is changed but in its form (12 becomes 12.0, "2013-01-01T00:00Z" a
moment, NaN a null); what would be rounded, cut or guessed is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import (
    MAX_CHECKED_BYTES,
    MAX_TEXT_LENGTH,
    InvalidRowsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_SAID = {
    "string": "text",
    "double": "a number",
    "int64": "a whole number",
    "int32": "a whole number",
    "bool": "true or false",
    "timestamp[us, tz=UTC]": "a time with its zone, as 2013-07-01T12:00:00Z",
    "list<item: double>": "a list of numbers",
}


def cast_column(name: str, column: pa.ChunkedArray, wanted: pa.DataType) -> pa.Array:
    """Return a column as one array of the wanted type, NaN as null.

    Raises:
        InvalidRowsError: the type does not fit, or a value does not; names column and row.
    """
    array = _one_array(column)
    if pa.types.is_dictionary(array.type):
        array = _decoded(name, array, wanted)
    if array.type == wanted:
        return _nan_as_null(array) if pa.types.is_floating(wanted) else array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), wanted)
    if not _fits(array.type, wanted):
        problem = f"it is {array.type}, where {_SAID[str(wanted)]} is needed"
        if pa.types.is_list(wanted) and _is_text(array.type):
            problem += "; CSV has no lists, so send Arrow, Parquet or JSON"
        raise InvalidRowsError(column=name, problem=problem)
    if pa.types.is_list(wanted):
        check_size(name, _BYTES_OF_NUMBER * _values_in(array))
    return _nan_as_null(_cast(name, array, wanted))


def check_size(name: str, size: int) -> None:
    """Refuse what would take more memory than a batch may, before it takes it.

    Raises:
        InvalidRowsError: it is more; `size` is that of the batch as far as this column.
    """
    if size > MAX_CHECKED_BYTES:
        most = MAX_CHECKED_BYTES >> 20
        problem = f"with it the values take {size >> 20:,} MiB, {most} is the most; send fewer rows"
        raise InvalidRowsError(column=name, problem=problem)


def is_finite(array: pa.Array) -> bool:
    """Say whether an array of floats has no null, NaN or infinity; may say no where it has none.

    One pass: the sum is finite only if every value is. Sums that overflow are looked at closer.
    """
    return not array.null_count and math.isfinite(_sum(array.to_numpy()))


def first_row(flags: pa.Array) -> int | None:
    """Return the number (from 1) of the first true row, None if there is none."""
    place = pc.index(flags, value=True).as_py()
    return None if place < 0 else int(place) + 1


def shown(value: object) -> str:
    """Return a value as an error shows it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a readable length


def shown_at(array: pa.Array, place: int) -> str:
    """Return a value of an array as an error shows it; times may lie beyond what Python knows."""
    scalar = array[place]
    if not pa.types.is_timestamp(scalar.type):
        return shown(scalar.as_py())
    try:
        return shown(scalar.as_py().isoformat())
    except (OverflowError, ValueError):
        return f"the time {scalar.value} {scalar.type.unit} after 1970"


_BYTES_OF_NUMBER = 8
_sum = np.errstate(over="ignore", invalid="ignore")(np.add.reduce)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _decoded(name: str, array: pa.DictionaryArray, wanted: pa.DataType) -> pa.Array:
    """Decode a dictionary, whose longest value may stand in every row."""
    values = array.type.value_type
    if pa.types.is_nested(values) or not _fits(values, wanted):
        problem = f"it is {array.type}, where {_SAID[str(wanted)]} is needed"
        raise InvalidRowsError(column=name, problem=problem)
    if _is_text(values):
        longest = pc.max(pc.utf8_length(array.dictionary)).as_py() or 0
        if longest > MAX_TEXT_LENGTH:
            problem = f"a text has {longest} letters, {MAX_TEXT_LENGTH} is the most"
            raise InvalidRowsError(column=name, problem=problem)
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        check_size(name, pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)
    return array.dictionary_decode()


def _values_in(lists: pa.Array) -> int:
    if pa.types.is_fixed_size_list(lists.type):
        return len(lists) * int(lists.type.list_size)
    return int(pc.sum(pc.cast(pc.list_value_length(lists), pa.int64())).as_py() or 0)


def _fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether values of one type may stand for values of another."""
    kinds = pa.types
    if kinds.is_list(wanted):
        return _is_list(given) and (
            kinds.is_null(given.value_type) or _fits_numbers(given.value_type)
        )
    if _is_text(given):
        return True
    if kinds.is_timestamp(wanted):
        return bool(kinds.is_timestamp(given) and given.tz is not None)
    if kinds.is_boolean(wanted):
        return bool(kinds.is_boolean(given))
    return _fits_numbers(given) and not kinds.is_string(wanted)


def _fits_numbers(given: pa.DataType) -> bool:
    return bool(pa.types.is_integer(given) or pa.types.is_floating(given))


def _is_list(given: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_list(given) or kinds.is_large_list(given) or kinds.is_fixed_size_list(given)
    )


def _is_text(given: pa.DataType) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given))


def _cast(name: str, array: pa.Array, wanted: pa.DataType) -> pa.Array:
    def attempt(part: pa.Array) -> pa.Array:
        if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(part.type):
            return pc.cast(part, wanted, safe=part.type.unit != "ns")
        if pa.types.is_integer(wanted) and pa.types.is_floating(part.type):
            part = _nan_as_null(part)
        return pc.cast(part, wanted)

    try:
        return attempt(array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        place = _first_failure(array, attempt)
        if place is None:
            raise InvalidRowsError(column=name, problem=str(error)) from error
        problem = f"{shown_at(array, place)} is {_misfit(array[place], wanted)}"
        raise InvalidRowsError(column=name, problem=problem, row=place + 1) from error


def _misfit(value: pa.Scalar, wanted: pa.DataType) -> str:
    """Say what is wrong with a value; a number that is one may be too large to be kept as it is."""
    whole = pa.types.is_integer(value.type) or (
        pa.types.is_floating(value.type) and value.as_py().is_integer()
    )
    if whole and (pa.types.is_integer(wanted) or pa.types.is_floating(wanted)):
        return f"too large to be kept exactly, as {wanted}"
    return f"not {_SAID[str(wanted)]}"


def _first_failure(array: pa.Array, attempt: Callable[[pa.Array], pa.Array]) -> int | None:
    """Find the first value that cannot be cast, by halving."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        if _fails(array[low:middle], attempt):
            high = middle
        else:
            low = middle
    return low if high > low and _fails(array[low:high], attempt) else None


def _fails(part: pa.Array, attempt: Callable[[pa.Array], pa.Array]) -> bool:
    try:
        attempt(part)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return True
    return False


def _nan_as_null(array: pa.Array) -> pa.Array:
    if not pa.types.is_floating(array.type) or is_finite(array):
        return array
    nan = pc.is_nan(array)
    if not pc.any(nan).as_py():
        return array
    return pc.if_else(nan, pa.scalar(None, array.type), array)
