"""Rows on their way out: written to a file as they come, then sent as it is read.

What always holds: nothing is answered before all rows were read and found to be those that were
frozen; the file has no name, and neither it nor the memory for it grows beyond a bound.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pyarrow import csv, parquet

from mlreg.controller.services.snapshots import MAX_EXPORT_ROWS, SnapshotTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

Form = Literal["parquet", "csv", "arrow"]
IN_MEMORY_BYTES = 8 * 2**20
PIECE_BYTES = 2**20


def write_rows(tables: Iterator[pa.Table], schema: pa.Schema, form: Form) -> IO[bytes]:
    """Return an open file of all rows, at its start; whoever reads it closes it.

    Raises:
        SnapshotTooLargeError: there are more than two million.
        As whoever reads the rows.
    """
    with ExitStack() as undo:
        file = undo.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))
        with _writer(file, schema, form) as writer:
            rows = 0
            for table in tables:
                rows += table.num_rows
                if rows > MAX_EXPORT_ROWS:
                    raise SnapshotTooLargeError(rows=rows)
                writer.write_table(table.cast(schema))
        file.seek(0)
        undo.pop_all()
    return file


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, and close it."""
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _writer(
    file: IO[bytes], schema: pa.Schema, form: Form
) -> parquet.ParquetWriter | csv.CSVWriter | pa.ipc.RecordBatchStreamWriter:
    sink = pa.PythonFile(file, mode="w")
    if form == "parquet":
        return parquet.ParquetWriter(sink, schema, compression="zstd")
    if form == "csv":
        return csv.CSVWriter(sink, schema)
    return pa.ipc.new_stream(sink, schema)
