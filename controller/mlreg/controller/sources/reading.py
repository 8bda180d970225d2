"""Reading a frozen source: each file's bytes hashed first, then parsed, then cast and checked.

What always holds: no row comes out of a file before all its bytes were found to be those that were
frozen; the bytes that are parsed are the bytes that were hashed. Rows come in the order of the
files' names and, in each, as they stand there; of rows with the same prediction id the first
stands, as in the log.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from mlreg.controller.domain.batches import PREDICTION_ID
from mlreg.controller.domain.sources import Columns, FrozenFile, FrozenSource
from mlreg.controller.feedback.rows import RowRules
from mlreg.controller.sources.columns import Choice, Chosen, Part, choose_rows, needed
from mlreg.controller.sources.errors import (
    SourceFileChangedError,
    SourceFileLostError,
    UnreadableFileError,
    first_line,
)
from mlreg.controller.sources.freezing import CHUNK_BYTES, group_overlaps

if TYPE_CHECKING:
    from typing import BinaryIO


BATCH_ROWS = 65_536
SMALL_BYTES = 32 * 2**20
AHEAD = 4
DIGITS = 16

Open = Callable[[FrozenFile], AbstractContextManager["Readable"]]
"""Opens a frozen file where it is; raises FileNotFoundError when it is gone."""


class Readable:
    """Bytes from the first to the last."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


@dataclass(frozen=True, slots=True)
class Asking:
    """What is read of a frozen source.

    Attributes:
        wanted: columns by their names in rows; None is all.
        rules: of the model.
    """

    source: FrozenSource
    choice: Choice
    wanted: Sequence[str] | None
    rules: RowRules

    @property
    def names(self) -> list[str]:
        """The columns that are read for it."""
        return needed(self.source.columns, self.wanted)


def read_frozen(asking: Asking, open_file: Open) -> Iterator[pa.Table]:
    """Yield the rows in tables of bounded length: prediction_id, time, and what else is wanted.

    Raises:
        SourceFileLostError, SourceFileChangedError: a file cannot be had as it was frozen.
        UnreadableFileError, InvalidSourceRowsError: what was frozen breaks a rule.
        SourceUnreachableError: its place gives no answer.
    """
    tables = _coalesced(_in_order(asking, open_file))
    return _distinct(tables) if asking.source.columns.prediction_id is not None else tables


def _in_order(asking: Asking, open_file: Open) -> Iterator[pa.Table]:
    """Yield the rows of all files in order; small files are read ahead, in threads."""

    def read_whole(file: FrozenFile) -> list[pa.Table]:
        return list(_read_file(asking, file, open_file))

    pool = ThreadPoolExecutor(max_workers=AHEAD)
    ahead: deque[tuple[FrozenFile, Future[list[pa.Table]] | None]] = deque()
    files = iter(asking.source.files)
    try:
        while True:
            while len(ahead) < AHEAD and (file := next(files, None)) is not None:
                small = file.size <= SMALL_BYTES
                ahead.append((file, pool.submit(read_whole, file) if small else None))
            if not ahead:
                return
            file, reading = ahead.popleft()
            yield from _read_file(asking, file, open_file) if reading is None else reading.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read_file(asking: Asking, file: FrozenFile, open_file: Open) -> Iterator[pa.Table]:
    with _held(file, open_file) as content:
        try:
            yield from _rows_of(asking, file, parquet.ParquetFile(content))
        except (pa.ArrowInvalid, OSError) as error:
            raise UnreadableFileError(file=file.path, cause=first_line(error)) from error


def _rows_of(asking: Asking, file: FrozenFile, content: parquet.ParquetFile) -> Iterator[pa.Table]:
    columns, names = asking.source.columns, asking.names
    schema, metadata = content.schema_arrow, content.metadata
    wanted = {columns.by_target[name] for name in names}
    stored = [name for name in schema.names if name in wanted]
    first = 0
    overlaps = group_overlaps(metadata, schema, columns, asking.choice.range)
    for group, needed_here in enumerate(overlaps):
        if needed_here:
            for batch in content.iter_batches(BATCH_ROWS, [group], stored, use_threads=False):
                part = Part(pa.table(batch), file.path, dict(file.partitions), first)
                chosen = choose_rows(part, columns, names, asking.choice, asking.rules)
                first += batch.num_rows
                if chosen.table.num_rows:
                    yield _identified(chosen, file, columns)
        else:
            first += metadata.row_group(group).num_rows


def _identified(chosen: Chosen, file: FrozenFile, columns: Columns) -> pa.Table:
    """Return rows with a prediction id: the source's own, or file and number of the row."""
    if columns.prediction_id is not None:
        return chosen.table
    prefix = file.digest.removeprefix("sha256:")[:DIGITS]
    numbers = pa.array(chosen.numbers).cast(pa.string())
    ids = pc.binary_join_element_wise(pa.scalar(prefix), numbers, "-")
    return chosen.table.add_column(0, pa.field(PREDICTION_ID, pa.string(), nullable=False), ids)


@contextmanager
def _held(file: FrozenFile, open_file: Open) -> Iterator[pa.NativeFile]:
    """Hold a copy of a file's bytes, found to be those frozen: in memory if it is small."""
    with tempfile.SpooledTemporaryFile(max_size=SMALL_BYTES) as copy:
        found = _copied(file, open_file, copy)  # type: ignore[arg-type]  # it is one, but for its name
        if found != file.digest:
            raise SourceFileChangedError(file=file.path, expected=file.digest, found=found)
        copy.seek(0)
        if file.size <= SMALL_BYTES:
            yield pa.BufferReader(copy.read())
        else:
            yield pa.OSFile(f"/proc/self/fd/{copy.fileno()}")


def _copied(file: FrozenFile, open_file: Open, copy: BinaryIO) -> str:
    """Copy a file's bytes and return their digest; no more of them than were frozen, and one."""
    content, left = hashlib.sha256(), file.size + 1
    try:
        with open_file(file) as source:
            while left and (piece := source.read(min(CHUNK_BYTES, left))):
                content.update(piece)
                copy.write(piece)
                left -= len(piece)
    except FileNotFoundError as error:
        raise SourceFileLostError(file=file.path, expected=file.digest) from error
    return f"sha256:{content.hexdigest()}"


def _coalesced(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of some length: ten thousand small files are no such many."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        if rows >= BATCH_ROWS:
            yield pa.concat_tables(waiting)
            waiting.clear()
            rows = 0
    if waiting:
        yield pa.concat_tables(waiting)


def _distinct(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows whose prediction id did not come before."""
    seen = pa.chunked_array([], pa.string())
    for table in tables:
        ids = table[PREDICTION_ID].combine_chunks()
        _, first = np.unique(ids.dictionary_encode().indices.to_numpy(), return_index=True)
        fresh = np.zeros(len(ids), dtype=bool)
        fresh[first] = True
        fresh &= ~np.asarray(pc.is_in(ids, value_set=seen.combine_chunks()))
        kept = table if fresh.all() else table.filter(pa.array(fresh))
        seen = pa.chunked_array([*seen.chunks, kept[PREDICTION_ID].combine_chunks()])
        if kept.num_rows:
            yield kept
