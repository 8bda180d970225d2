"""Segments: logged rows as Parquet, written once, read by column.

What always holds: rows are sorted by time, then prediction id, then arrival; the same rows give the
same bytes.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from mlreg.controller.domain.batches import BATCH, PREDICTION_ID, ROW, TIME, Kind
from mlreg.controller.feedback.schemas import segment_schema
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.artifacts.reading import read_blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.artifacts.store import ArtifactStore

ROW_GROUP_ROWS = 16 * 1024
MAX_SEGMENT_BYTES = 2**30
_READERS = 8
_ORDER = [(name, "ascending") for name in (TIME, PREDICTION_ID, BATCH, ROW)]


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment that is not stored yet; `start` and `end` are its first and last time."""

    kind: Kind
    table: pa.Table
    content: bytes
    start: datetime
    end: datetime


def arrived(batch: int, rows: pa.Table) -> pa.Table:
    """Return the rows of a batch with the columns that say when they arrived."""
    size = rows.num_rows
    numbers = [pa.repeat(pa.scalar(batch, pa.int64()), size), pa.array(range(size), pa.int32())]
    schema = segment_schema(rows.schema)
    return pa.Table.from_arrays([*rows.columns, *numbers], schema=schema)


def make_segment(kind: Kind, batches: Sequence[pa.Table]) -> NewSegment:
    """Return one segment of all rows of some batches (made by `arrived`)."""
    rows = pa.concat_tables(batches, promote_options="default")
    rows = _sorted(rows).combine_chunks()
    buffer = io.BytesIO()
    parquet.write_table(
        rows,
        buffer,
        compression="lz4",  # twice as fast to read, and hardly larger
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[f.name for f in rows.schema if _repeats(f)],
        write_page_index=False,
    )
    times = rows[TIME]
    return NewSegment(
        kind=kind, table=rows, content=buffer.getvalue(), start=_moment(times[0]), end=_last(times)
    )


def read_segments(
    store: ArtifactStore,
    digests: Sequence[str],
    columns: Sequence[str] | None,
    span: Interval | None = None,
) -> list[pa.Table]:
    """Read segments, verified, in the given order.

    Args:
        store: where they are.
        digests: their names.
        columns: what is wanted, None is all; columns that a segment does not have are left out.
        span: rows of other times may be left out; never those of `start ≤ time ≤ end`.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: as the store.
    """

    def read(digest: str) -> pa.Table:
        return _read(read_blob(store, digest, max_bytes=MAX_SEGMENT_BYTES), columns, span)

    if len(digests) < 2:  # noqa: PLR2004 - a pool pays for two
        return [read(digest) for digest in digests]
    with ThreadPoolExecutor(max_workers=min(_READERS, len(digests))) as pool:
        return list(pool.map(read, digests))


def read_groups(
    store: ArtifactStore, digest: str, columns: Sequence[str] | None, span: Interval | None
) -> Iterator[pa.Table]:
    """Read one segment, verified, a row group at a time; arguments and errors as above."""
    content = read_blob(store, digest, max_bytes=MAX_SEGMENT_BYTES)
    file = parquet.ParquetFile(pa.BufferReader(content))
    names = _names(file, columns)
    for group in range(file.num_row_groups):
        if span is None or _overlaps(file, group, span):
            yield file.read_row_group(group, names, use_threads=False)


def count_stored_rows(store: ArtifactStore, digest: str) -> int:
    """Return how many rows a segment has; 0 where its bytes are gone.

    Raises:
        BlobCorruptError, StoreUnreachableError: as the store.
    """
    try:
        content = read_blob(store, digest, max_bytes=MAX_SEGMENT_BYTES)
    except BlobNotFoundError:
        return 0
    return int(parquet.ParquetFile(pa.BufferReader(content)).metadata.num_rows)


def _read(content: bytes, columns: Sequence[str] | None, span: Interval | None) -> pa.Table:
    file = parquet.ParquetFile(pa.BufferReader(content))
    names = _names(file, columns)
    if span is None or file.num_row_groups == 1:
        return file.read(names, use_threads=False)
    groups = [n for n in range(file.num_row_groups) if _overlaps(file, n, span)]
    return file.read_row_groups(groups, names, use_threads=False)


def _sorted(rows: pa.Table) -> pa.Table:
    """Return rows in the order of segments; those that are in it, as they mostly are, uncopied."""
    order = pc.sort_indices(rows, sort_keys=_ORDER)
    return rows if np.array_equal(order, np.arange(len(order))) else rows.take(order)


def _names(file: parquet.ParquetFile, columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    known = set(file.schema_arrow.names)
    return [name for name in columns if name in known]


def _overlaps(file: parquet.ParquetFile, group: int, span: Interval) -> bool:
    place = file.schema_arrow.get_field_index(TIME)
    times = file.metadata.row_group(group).column(place).statistics
    return times is None or bool(times.min <= span.end and times.max >= span.start)


def _repeats(field: pa.Field) -> bool:
    """Say whether a column's values are worth a dictionary: all but ids and measured numbers."""
    return field.name != PREDICTION_ID and not pa.types.is_floating(field.type)


def _last(times: pa.ChunkedArray) -> datetime:
    return _moment(times[len(times) - 1])


def _moment(time: pa.Scalar) -> datetime:
    microseconds = time.cast(pa.int64()).as_py()
    seconds, rest = divmod(int(microseconds), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
