"""Rows as bytes of a content type, read into a table: columns as they came, not yet checked.

What always holds: an Arrow stream and JSON are read here; files (Parquet, CSV, JSON lines), whose
readers may take any amount of memory, are read in a child with limits (`file_reader.py`). An Arrow
stream must not be compressed, for the same reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from mlreg.controller.domain.batches import (
    MAX_ROWS,
    PREDICTION_ID,
    InvalidRowsError,
    UnknownContentTypeError,
    UnreadableBodyError,
)
from mlreg.controller.feedback.arrow_messages import is_compressed
from mlreg.controller.feedback.casting import shown
from mlreg.controller.feedback.file_reader import read_file
from mlreg.controller.feedback.schemas import OPTIONAL

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
JSON_LINES = "application/x-ndjson"
FILES = (PARQUET, CSV, JSON_LINES)
_FEATURES = "features"
_ENVELOPE = frozenset({"batch_id", "rows"})


@dataclass(frozen=True, slots=True)
class Rows:
    """A body that was read; `batch_id` is what a JSON body said, else None."""

    table: pa.Table
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class JsonRows:
    """A JSON body that was read: its rows with their features flat, and what it calls itself."""

    rows: Sequence[Mapping[str, object]]
    batch_id: str | None


def read_rows(body: bytes, content_type: str, schema: pa.Schema) -> Rows:
    """Read a body.

    Args:
        body: all its bytes.
        content_type: as sent; parameters such as `charset` are ignored.
        schema: the columns that are expected; used only where a form does not tell types.

    Raises:
        UnknownContentTypeError: it is none of the five.
        UnreadableBodyError: the bytes are not of that type, or take too much to read.
        InvalidRowsError: a column of JSON mixes types.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == ARROW:
        return Rows(read_arrow(body))
    if kind == JSON:
        document = read_json(body)
        return Rows(table_of(document.rows, schema), document.batch_id)
    if kind in FILES:
        text = [field.name for field in schema if pa.types.is_string(field.type)]
        return Rows(flattened(read_arrow(read_file(body, kind, text))))
    raise UnknownContentTypeError(content_type=content_type)


def read_arrow(body: bytes) -> pa.Table:
    """Read an Arrow IPC stream and check every offset and text in it.

    Raises:
        UnreadableBodyError: it is no such stream, or a compressed one, or has too many rows.
    """
    try:
        if is_compressed(body):
            raise UnreadableBodyError(content_type=ARROW, cause="compressed streams are not taken")
        table = pa.ipc.open_stream(body).read_all()
        if table.num_rows > MAX_ROWS:
            cause = f"it has {table.num_rows:,} rows, {MAX_ROWS:,} is the most"
            raise UnreadableBodyError(content_type=ARROW, cause=cause)
        table.validate(full=True)
        _check_texts(table.schema)
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise UnreadableBodyError(content_type=ARROW, cause=_first_line(error)) from error
    return table


def _check_texts(schema: pa.Schema) -> None:
    """Refuse names and time zones that are not UTF-8; pyarrow finds out only when they are read.

    Raises:
        UnicodeDecodeError: one of them is not.
    """
    for field in schema:
        if pa.types.is_timestamp(field.type):
            _ = field.type.tz
        _ = field.name


def flattened(table: pa.Table) -> pa.Table:
    """Return the table with the fields of its `features` column, if any, as columns."""
    if _FEATURES not in table.column_names or not pa.types.is_struct(table[_FEATURES].type):
        return table
    features = table[_FEATURES]
    table = table.drop_columns([_FEATURES])
    names = [field.name for field in features.type]
    for name, column in zip(names, features.flatten(), strict=True):
        table = table.append_column(name, column)
    return table


def read_json(body: bytes) -> JsonRows:
    """Read a JSON body as flat rows, whose columns are not checked yet.

    Raises:
        UnreadableBodyError: the bytes are no batch.
        InvalidRowsError: a row is no object, or names a column twice.
    """
    try:
        document = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(content_type=JSON, cause=_first_line(error)) from error
    return rows_of_json(document)


def rows_of_json(document: object) -> JsonRows:
    """Return the rows of a JSON document, which stays as it is; errors as above."""
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        cause = 'it must be {"batch_id": "…", "rows": [{…}, …]}'
        raise UnreadableBodyError(content_type=JSON, cause=cause)
    unknown = sorted(set(document) - _ENVELOPE)
    if unknown:
        raise UnreadableBodyError(content_type=JSON, cause=f"unknown key {shown(unknown[0])}")
    batch_id = document.get("batch_id")
    if batch_id is not None and not isinstance(batch_id, str):
        raise UnreadableBodyError(content_type=JSON, cause="batch_id must be text")
    rows = [_flat(number, row) for number, row in enumerate(document["rows"], start=1)]
    return JsonRows(rows, batch_id)


def table_of(rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Return flat rows as a table; a row is null where it does not name an optional column.

    Raises:
        InvalidRowsError: a column mixes types, or a row lacks one of the schema's that others have;
            names the row.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if any(len(row) < len(names) for row in rows):
        _check_none_lacks(rows, {name for name in schema.names if name in names} - OPTIONAL)
    if rows and not names:
        raise InvalidRowsError(column=PREDICTION_ID, problem="it is missing", row=1)
    return pa.table({name: _json_column(name, [row.get(name) for row in rows]) for name in names})


def _check_none_lacks(rows: Sequence[Mapping[str, object]], needed: set[str]) -> None:
    for number, row in enumerate(rows, start=1):
        lacking = sorted(needed - row.keys())
        if lacking:
            raise InvalidRowsError(column=lacking[0], problem="it is missing", row=number)


def _flat(number: int, row: object) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise InvalidRowsError(column="rows", problem="it is not an object", row=number)
    row = dict(row)
    features = row.pop(_FEATURES, {})
    if not isinstance(features, dict):
        raise InvalidRowsError(column=_FEATURES, problem="it is not an object", row=number)
    twice = sorted(row.keys() & features.keys())
    if twice:
        raise InvalidRowsError(column=twice[0], problem="it is there twice", row=number)
    row.update(features)
    return row


def _json_column(name: str, values: list[object]) -> pa.Array:
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        row = _row_of_another_type(values)
        if row is None:
            raise InvalidRowsError(column=name, problem=_first_line(error)) from error
        problem = f"{shown(values[row - 1])} is of another type than the rows before"
        raise InvalidRowsError(column=name, problem=problem, row=row) from error
    row = _row_of_flag(array.type, values)
    if row is not None:
        problem = f"{shown(values[row - 1])} is of another type than the other rows"
        raise InvalidRowsError(column=name, problem=problem, row=row)
    return array


def _row_of_another_type(values: list[object]) -> int | None:
    kinds = [type(value) for value in values]
    known = next(kind for kind in kinds if kind is not type(None))
    rows = (n for n, kind in enumerate(kinds, start=1) if kind not in {known, type(None)})
    return next(rows, None)


def _row_of_flag(kind: pa.DataType, values: list[object]) -> int | None:
    """Find a true or false beside numbers, which pyarrow takes for 1 and 0 where one is a float."""
    if pa.types.is_floating(kind) and bool in map(type, values):
        return next(n for n, value in enumerate(values, start=1) if isinstance(value, bool))
    if pa.types.is_list(kind) and pa.types.is_floating(kind.value_type):
        lists = (
            n for n, v in enumerate(values, start=1) if isinstance(v, list) and bool in map(type, v)
        )
        return next(lists, None)
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; send null for a missing value")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {shown(twice)} is there twice")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
