"""The digest of a table in memory: of its content, whatever library holds it.

What always holds: equal columns (name, kind, values, order) have equal digests, in pandas, polars
or Arrow, in one piece or in many; null, NaN and missing are one; integers count as 64 bit, floats
as double, categories as their texts, times in microseconds; an index does not count. Arrow reads
the table, so `pyarrow` (the extra `score`) is needed.

Format `mlreg table 1`: SHA-256 of that line; then of each column a line of JSON (name, kind, rows),
the bits of what is missing, and the values: fixed widths little-endian with zero for missing, texts
as 64-bit lengths and their UTF-8 bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_LINE = b"mlreg table 1\n"
WIDTHS = {"int": "<i8", "uint": "<u8", "bool": "<i8", "float": "<f8", "time": "<i8", "utc": "<i8"}


def is_table(value: object) -> bool:
    """Whether a value is a table: pandas, polars, Arrow, or whatever exports Arrow's stream."""
    return hasattr(value, "__arrow_c_stream__") or _is_pandas(value)


def arrow_of(value: object) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return a table as an Arrow table, without an index.

    Raises:
        InvalidError: pyarrow is not installed, or the table has a column that Arrow cannot hold.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency, and a slow import
    except ModuleNotFoundError as error:
        raise InvalidError(
            "a table in memory is read with pyarrow, which is not installed",
            code="no_pyarrow",
            hint="`pip install 'mlreg[score]'`, or give the file that the table came from.",
        ) from error
    try:
        if _is_pandas(value):
            return pa.Table.from_pandas(value, preserve_index=False)
        return pa.table(value)
    except (pa.ArrowException, TypeError, ValueError) as error:
        problem = f"the table cannot be read: {error}"
        raise InvalidError(problem, code="unreadable_table") from error


def digest_of_table(value: object) -> tuple[str, int]:
    """Return the digest of a table's content and the number of its rows.

    Raises:
        InvalidError: as `arrow_of`.
    """
    table = arrow_of(value)
    sha256 = hashlib.sha256(FORMAT_LINE)
    for name in table.column_names:
        for piece in _pieces(name, table[name]):
            sha256.update(piece)
    return "sha256:" + sha256.hexdigest(), int(table.num_rows)


def _pieces(name: str, column: Any) -> Iterator[bytes]:  # noqa: ANN401 - pyarrow has no types
    import numpy as np  # noqa: PLC0415 - comes with pyarrow

    kind, values = _normal(column)
    yield json.dumps([name, kind, len(values)]).encode() + b"\n"
    yield np.packbits(values.is_null().to_numpy(zero_copy_only=False)).tobytes()
    if kind == "text":
        lengths, content = _texts(values)
        yield lengths
        yield content
    else:
        filled = values.fill_null(0).to_numpy(zero_copy_only=False)
        yield filled.astype(WIDTHS[kind]).tobytes()


def _normal(column: Any) -> tuple[str, Any]:  # noqa: ANN401 - pyarrow has no types
    """Return the kind of a column, and its values in the one form of that kind, in one piece."""
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind, wanted = _kind(column.type)
    if kind == "text" and not _is_text(column.type):
        values = pa.array([None if v is None else str(v) for v in column.to_pylist()], wanted)
    else:
        values = column.cast(wanted, safe=False).combine_chunks()
    if kind == "float":
        values = pc.if_else(pc.is_nan(values), None, values)
    return kind, values.cast(pa.int64()) if kind in {"time", "utc"} else values


def _kind(type_: Any) -> tuple[str, Any]:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_unsigned_integer(type_):
        return ("uint", pa.uint64()) if type_.bit_width == 64 else ("int", pa.int64())  # noqa: PLR2004
    if pa.types.is_integer(type_) or pa.types.is_boolean(type_):
        return ("int" if pa.types.is_integer(type_) else "bool"), pa.int64()
    if pa.types.is_floating(type_):
        return "float", pa.float64()
    if pa.types.is_timestamp(type_):
        return ("time" if type_.tz is None else "utc"), pa.timestamp("us", tz=type_.tz)
    return "text", pa.large_string()


def _is_text(type_: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - as above

    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _texts(values: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - pyarrow has no types
    """Return the lengths of the texts, and their bytes one after the other."""
    import numpy as np  # noqa: PLC0415 - as above

    filled = values.fill_null("")
    _, offsets, content = filled.buffers()
    edges = np.frombuffer(offsets, "<i8")[filled.offset : filled.offset + len(filled) + 1]
    if not len(filled):
        return b"", b""
    return np.diff(edges).astype("<i8").tobytes(), bytes(content[int(edges[0]) : int(edges[-1])])


def _is_pandas(value: object) -> bool:
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"
