"""Freezing files: which of them can have rows of a range, and the digest of each that can.

What always holds: a file whose statistics say that all its times lie outside is left out, and not
hashed; every other one is hashed from its first byte to its last, unless the very same state of it
was hashed before; a file that changes meanwhile is an error. A wrong memory of a digest costs an
error when the file is read, never other rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import parquet

from mlreg.controller.domain.sources import Columns, FrozenFile
from mlreg.controller.domain.windows import Interval
from mlreg.controller.sources.columns import Part, check_schema, find_bounds
from mlreg.controller.sources.errors import (
    DuplicateFilesError,
    NoFilesError,
    SourceInMotionError,
    UnreadableFileError,
    first_line,
)
from mlreg.controller.sources.source import DigestMemory, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHUNK_BYTES = 8 * 2**20
THREADS = 16
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a source that is not looked at yet."""

    url: str
    partitions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is frozen: rows of a range, with these columns.

    Attributes:
        place: where the files are.
        memory: what was hashed before.
    """

    place: Place
    columns: Columns
    span: Interval
    memory: DigestMemory


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file that is needed: what its footer says, and the state that it had then."""

    listed: Listed
    rows: int
    size: int
    state: str


def freeze_files(source: str, listed: Sequence[Listed], wish: Wish) -> tuple[FrozenFile, ...]:
    """Return the files that can have rows of the range, by URL, each with its digest.

    Raises:
        NoFilesError: there are none at all.
        UnreadableFileError, InvalidSourceRowsError: a file is no Parquet, or of other columns.
        DuplicateFilesError: two of them are the same.
        SourceInMotionError, SourceUnreachableError, FileLeadsOutError: as their place.
    """
    if not listed:
        raise NoFilesError(source=source)
    with ThreadPoolExecutor(max_workers=min(THREADS, len(listed))) as pool:
        looked = pool.map(partial(_look, wish), listed)
        seen = [one for one in looked if one is not None]
        known = wish.memory.recall([one.listed.url for one in seen])
        frozen = list(pool.map(partial(_freeze, wish.place, known), seen))
    states = {one.listed.url: one.state for one in seen}
    wish.memory.note(
        {
            file.path: (states[file.path], file.digest)
            for file in frozen
            if known.get(file.path) != (states[file.path], file.digest)
        }
    )
    _check_distinct(frozen)
    return tuple(sorted(frozen, key=lambda file: file.path))


def digest_of_file(place: Place, url: str) -> tuple[str, str]:
    """Return the digest of a file's bytes, and the state that it had.

    Raises:
        FileNotFoundError, SourceUnreachableError, FileLeadsOutError: as `Place.open`.
    """
    content = hashlib.sha256()
    with place.open(url) as opened:
        while piece := opened.file.read(CHUNK_BYTES):
            content.update(piece)
    return f"sha256:{content.hexdigest()}", opened.state


def hive_partitions(url: str, root: str) -> dict[str, str | None]:
    """Return the columns that the folders of a file say: `day=2013-07-01/carrier=AA/…`."""
    folders = url.removeprefix(root).split("/")[:-1]
    pairs = (folder.partition("=") for folder in folders if "=" in folder)
    return {name: None if value == NULL_PARTITION else unquote(value) for name, _, value in pairs}


def _look(wish: Wish, listed: Listed) -> _Seen | None:
    """Read a file's footer; None where it says that the file has no row of the range."""
    try:
        with wish.place.open(listed.url) as opened:
            try:
                footer = parquet.ParquetFile(opened.file)
                schema, metadata = footer.schema_arrow, footer.metadata
            except (pa.ArrowInvalid, OSError) as error:
                if "AWS Error" in str(error):
                    raise
                raise UnreadableFileError(file=listed.url, cause=first_line(error)) from error
            check_schema(
                schema, Part(schema.empty_table(), listed.url, listed.partitions), wish.columns
            )
            if not any(group_overlaps(metadata, schema, wish.columns, wish.span)):
                return None
            return _Seen(listed, metadata.num_rows, opened.size, opened.state)
    except FileNotFoundError as error:
        raise SourceInMotionError(file=listed.url) from error


def group_overlaps(
    metadata: parquet.FileMetaData, schema: pa.Schema, columns: Columns, span: Interval
) -> Iterable[bool]:
    """Yield for each row group whether it can have rows of a range; without statistics it can."""
    kind = None
    place = metadata.schema.names.index(columns.time) if columns.time in schema.names else -1
    if place >= 0:
        kind = schema.field(columns.time).type
    for group in range(metadata.num_row_groups):
        yield kind is None or _overlaps(
            metadata.row_group(group).column(place), kind, columns, span
        )


def _overlaps(
    column: parquet.ColumnChunkMetaData, kind: pa.DataType, columns: Columns, span: Interval
) -> bool:
    if column.path_in_schema != columns.time:
        return True  # a nested column has the name
    try:
        found = column.statistics
        if found is None or not found.has_min_max:
            return True
        bounds = find_bounds(found.min, found.max, kind, columns)
    except (ValueError, OverflowError, pa.ArrowException):  # nanoseconds that Python does not know
        return True
    return bounds is None or (bounds[0] < span.end and bounds[1] >= span.start)


def _freeze(place: Place, known: Mapping[str, tuple[str, str]], seen: _Seen) -> FrozenFile:
    url = seen.listed.url
    state, digest = known.get(url, ("", ""))
    if state != seen.state:
        try:
            digest, state = digest_of_file(place, url)
        except FileNotFoundError as error:
            raise SourceInMotionError(file=url) from error
        if state != seen.state:
            raise SourceInMotionError(file=url)
    partitions = tuple(sorted(seen.listed.partitions.items()))
    return FrozenFile(url, seen.size, digest, seen.rows, partitions)


def _check_distinct(files: Iterable[FrozenFile]) -> None:
    first: dict[tuple[str, object], FrozenFile] = {}
    for file in files:
        other = first.setdefault((file.digest, file.partitions), file)
        if other is not file and file.rows:
            raise DuplicateFilesError(one=other.path, other=file.path)
