"""Columns of a source as the columns of rows: chosen, cast without a guess, checked as logged rows.

What always holds: a column that is named is there or an error; a time has a zone, by itself or by
the `timezone` that the policy names; only rows of the asked range are looked at beyond their time.
Columns that nobody names are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlreg.controller.domain.batches import (
    ENTITY,
    LABEL,
    PREDICTION_ID,
    TIME,
    WEIGHT,
    InvalidRowsError,
)
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.casting import cast_column, first_row
from mlreg.controller.feedback.rows import checked_rows
from mlreg.controller.feedback.schemas import DTYPES, MOMENT
from mlreg.controller.sources.errors import InvalidSourceRowsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from mlreg.controller.domain.sources import Columns
    from mlreg.controller.feedback.rows import RowRules

KEYS = frozenset({PREDICTION_ID, ENTITY})
NO_ZONE = "it has no zone; name one with `timezone: UTC`, if that is what it is in"
_OWN = {
    PREDICTION_ID: pa.field(PREDICTION_ID, pa.string(), nullable=False),
    TIME: pa.field(TIME, MOMENT, nullable=False),
    LABEL: pa.field(LABEL, pa.float64()),
    WEIGHT: pa.field(WEIGHT, pa.float64()),
    ENTITY: pa.field(ENTITY, pa.string()),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file as they stand there.

    Attributes:
        file: its URL, for errors.
        partitions: columns that are the same in all of its rows.
        first: how many rows of the file come before.
    """

    table: pa.Table
    file: str
    partitions: Mapping[str, str | None]
    first: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows are wanted: those of a range, outside what is left out of it."""

    range: Interval
    excluded: Sequence[Interval] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows that were chosen, and the number (from 0) that each has in its file."""

    table: pa.Table
    numbers: NDArray[np.int64]


def schema_of(columns: Columns, names: Iterable[str]) -> pa.Schema:
    """Return the columns, under their names here, that the rows of a source have."""
    dtypes = {one.name: one.dtype for one in columns.features}
    return pa.schema([_OWN.get(name) or pa.field(name, DTYPES[dtypes[name]]) for name in names])


def needed(columns: Columns, wanted: Iterable[str] | None) -> list[str]:
    """Return what is read (by the names here) to have the wanted columns; None is all."""
    known = list(columns.by_target)
    asked = None if wanted is None else {PREDICTION_ID, TIME, *wanted}
    return known if asked is None else [name for name in known if name in asked]


def check_schema(schema: pa.Schema, part: Part, columns: Columns) -> None:
    """Refuse a file whose columns cannot be those of rows, before any of its values is read.

    Raises:
        InvalidSourceRowsError: a column is missing, there twice, or of a type that does not fit.
    """
    with _named(part, columns):
        _read(replace(part, table=schema.empty_table()), columns, list(columns.by_target))


def choose_rows(
    part: Part, columns: Columns, names: Sequence[str], choice: Choice, rules: RowRules
) -> Chosen:
    """Return the rows of a part that are wanted, cast and checked.

    Args:
        part: rows as they stand in the file.
        columns: which column stands for what.
        names: what is wanted, by the names here.
        choice: which rows are.
        rules: of the model; their schema is not looked at.

    Raises:
        InvalidSourceRowsError: a time cannot be read, or one of the wanted rows breaks a rule.
    """
    with _named(part, columns):
        times = _read(part, columns, [TIME])[TIME].combine_chunks()
        if times.null_count:
            row = first_row(times.is_null())
            raise InvalidRowsError(column=TIME, problem="it is missing", row=row)
    numbers = np.flatnonzero(_is_chosen(times, choice))
    if len(numbers) < part.table.num_rows:
        part = replace(part, table=part.table.take(numbers))
    with _named(part, columns, numbers):
        rows = _read(part, columns, names)
        if len(numbers):
            rows = checked_rows(rows, replace(rules, schema=rows.schema))
    return Chosen(rows, numbers + part.first)


def find_bounds(
    least: object, greatest: object, kind: pa.DataType, columns: Columns
) -> tuple[datetime, datetime] | None:
    """Return the times that statistics of a time column speak of, None where they say nothing."""
    try:
        table = pa.table({columns.time: pa.array([least, greatest], kind)})
        times = _read(Part(table, "", {}), columns, [TIME])[TIME].to_pylist()
    except (InvalidRowsError, pa.ArrowException, ValueError, OverflowError, TypeError):
        return None
    return times[0], times[1]


@contextmanager
def _named(
    part: Part, columns: Columns, numbers: NDArray[np.int64] | None = None
) -> Iterator[None]:
    """Name file, column and row of an error as they are called in the source."""
    try:
        yield
    except InvalidRowsError as error:
        row = error.row
        if row is not None:
            row = part.first + (row if numbers is None else int(numbers[row - 1]) + 1)
        column = columns.by_target.get(error.column, error.column)
        raise InvalidSourceRowsError(
            file=part.file, column=column, problem=error.problem, row=row
        ) from error


def _is_chosen(times: pa.Array, choice: Choice) -> NDArray[np.bool_]:
    moments = times.cast(pa.int64()).to_numpy()
    chosen = (moments >= _stamp(choice.range.start)) & (moments < _stamp(choice.range.end))
    for one in choice.excluded:
        chosen &= (moments < _stamp(one.start)) | (moments >= _stamp(one.end))
    return np.asarray(chosen)


def _stamp(moment: datetime) -> int:
    return int(pa.scalar(moment, MOMENT).cast(pa.int64()).as_py())


def _read(part: Part, columns: Columns, names: Sequence[str]) -> pa.Table:
    """Return columns of a part under their names here, cast."""
    schema = schema_of(columns, names)
    arrays = [_column(part, columns, field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(part: Part, columns: Columns, field: pa.Field) -> pa.Array:
    given = _given(part, columns.by_target[field.name], field.name)
    return cast_column(field.name, _prepared(given, field, columns.timezone), field.type)


def _given(part: Part, column: str, target: str) -> pa.ChunkedArray:
    found = part.table.column_names.count(column)
    if found > 1:
        raise InvalidRowsError(column=target, problem="it is there twice")
    if found:
        return part.table[column]
    if column not in part.partitions:
        there = ", ".join([*part.table.column_names, *part.partitions][:30]) or "none"
        raise InvalidRowsError(column=target, problem=f"it is missing; the file has {there}")
    value = pa.scalar(part.partitions[column], pa.string())
    return pa.chunked_array([pa.repeat(value, part.table.num_rows)])


def _prepared(given: pa.ChunkedArray, field: pa.Field, timezone: str | None) -> pa.ChunkedArray:
    """Return a column in a type that logged rows may have; what else it is stays as it is."""
    kind = given.type
    if field.name == TIME:
        return _zoned(given, timezone)
    if field.name in KEYS and pa.types.is_integer(kind):
        return given.cast(pa.string())
    if pa.types.is_string_view(kind):
        return given.cast(pa.string())
    if pa.types.is_decimal(kind) and not pa.types.is_string(field.type):
        return given.cast(pa.float64())
    return given


def _zoned(times: pa.ChunkedArray, timezone: str | None) -> pa.ChunkedArray:
    """Return times with a zone; those that have one keep it."""
    kind = times.type
    naive = pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)
    if naive and timezone is None:
        raise InvalidRowsError(column=TIME, problem=NO_ZONE)
    if timezone is None or not (naive or pa.types.is_string(kind)):
        return times
    try:
        local = pc.cast(times, pa.timestamp("us"), safe=False)
        return pc.cast(pc.assume_timezone(local, timezone), MOMENT)
    except pa.ArrowInvalid as error:
        if pa.types.is_string(kind):
            return times  # they have zones of their own, or are no times: casting says which
        problem = f"in {timezone}: {str(error).splitlines()[0][:200]}"
        raise InvalidRowsError(column=TIME, problem=problem) from error
