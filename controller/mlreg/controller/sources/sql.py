"""The answer to a query as a source: asked once, kept as Parquet files in our own store.

What always holds: the query runs alone in a read-only transaction that sees one moment, under a
time-out, by a cursor of the server, so that neither side holds the answer in memory; it is sent as
one statement, with its parameters beside it. The same answer gives the same files.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import psycopg.conninfo
import pyarrow as pa
from pyarrow import parquet

from mlreg.controller.domain.connections import PostgresConnection
from mlreg.controller.domain.query import parameters_of, with_parameters
from mlreg.controller.domain.sources import Columns, FrozenFile, FrozenSource, SourceName
from mlreg.controller.sources.columns import Part, check_schema
from mlreg.controller.sources.errors import (
    InvalidSourceRowsError,
    QueryFailedError,
    QueryTimeoutError,
    SourceTooLargeError,
    SourceUnreachableError,
    first_line,
)
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.services.uploads import send_blob
from mlreg.registry.store.database import ALIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.sources.source import Source

PAGE_ROWS = 20_000
FILE_ROWS = 100_000
CONNECT_SECONDS = 10
_TYPES = {
    "bool": pa.bool_(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "numeric": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "uuid": pa.string(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}
"""What a column may be; of any other type it is refused, where it is needed."""
_UNREADABLE = "its URL cannot be read; in a password, @ is %40, % is %25, / is %2F, a space %20"
_FORMS: Mapping[type, Callable[[Any], object]] = {Decimal: float, UUID: str}
"""What values of the driver become, that Arrow does not take as they are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, whom it is put to, and where its answer is kept."""

    name: SourceName
    connection: PostgresConnection
    columns: Columns
    store: ArtifactStore


class SqlQuery:
    """One SELECT; `:start` and `:end` in it are the range that is frozen."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def freeze(self, span: Interval) -> FrozenSource:
        """See `Source.freeze`; the store has the files then, but nothing refers to them yet."""
        asked = self._asked
        files: list[FrozenFile] = []
        rows = 0
        for number, table in enumerate(self._tables(span), start=1):
            rows += table.num_rows
            if rows > asked.connection.max_rows:
                raise SourceTooLargeError(
                    source=asked.name.spelt,
                    amount=rows,
                    of="rows",
                    most=asked.connection.max_rows,
                )
            files.append(self._kept(f"rows-{number:05d}.parquet", table))
        name = str(asked.name.connection)
        return FrozenSource("sql", asked.name.spelt, name, asked.columns, tuple(files))

    def _tables(self, span: Interval) -> Iterator[pa.Table]:
        """Yield the answer in tables of bounded length."""
        query = with_parameters(self._asked.name.query)
        values = {"start": span.start, "end": span.end}
        asked = {name: values[name] for name in parameters_of(self._asked.name.query)}
        with (
            self._named_errors(),
            connected(self._asked.connection) as connection,
            connection.cursor(name="mlreg", binary=True) as cursor,
        ):
            cursor.execute(query.encode(), asked)
            schema, places = self._schema(cursor)
            pages: list[pa.Table] = []
            while rows := cursor.fetchmany(PAGE_ROWS):
                pages.append(_table(rows, schema, places))
                if sum(page.num_rows for page in pages) >= FILE_ROWS:
                    yield pa.concat_tables(pages)
                    pages.clear()
            if pages:
                yield pa.concat_tables(pages)

    def _schema(self, cursor: psycopg.ServerCursor[Any]) -> tuple[pa.Schema, list[int]]:
        """Return the needed columns of the answer, and where each stands in it."""
        answered = [column.name for column in cursor.description or ()]
        types = [_type_of(cursor, place) for place in range(len(answered))]
        wanted = set(self._asked.columns.by_target.values())
        places = [place for place, name in enumerate(answered) if name in wanted]
        schema = pa.schema([pa.field(answered[place], types[place]) for place in places])
        query = Part(schema.empty_table(), f"sql:{self._asked.name.connection}", {})
        check_schema(schema, query, self._asked.columns)
        return schema, places

    def _kept(self, name: str, table: pa.Table) -> FrozenFile:
        buffer = io.BytesIO()
        parquet.write_table(
            table.combine_chunks(),
            buffer,
            compression="lz4",  # as segments
            use_dictionary=[one.name for one in table.schema if not pa.types.is_floating(one.type)],
            write_page_index=False,
        )
        buffer.seek(0)
        blob = send_blob(self._asked.store, buffer)
        return FrozenFile(name, blob.size, blob.digest, table.num_rows)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        name, limit = str(self._asked.name.connection), self._asked.connection
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            seconds = limit.statement_timeout_seconds
            raise QueryTimeoutError(connection=name, seconds=seconds) from error
        except psycopg.OperationalError as error:
            where = f"connection {name}"
            raise SourceUnreachableError(where=where, cause=_said(error)) from error
        except psycopg.Error as error:
            raise QueryFailedError(connection=name, cause=_said(error)) from error


@contextmanager
def connected(limits: PostgresConnection) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Connect for one read-only transaction, which is rolled back at the end."""
    milliseconds = int(limits.statement_timeout_seconds * 1000)
    url = limits.url.get_secret_value()
    if not _is_readable(url):
        raise psycopg.ProgrammingError(_UNREADABLE)
    with psycopg.connect(
        psycopg.conninfo.make_conninfo(url, **ALIVE),
        connect_timeout=CONNECT_SECONDS,
        application_name="mlreg",
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        limit = "SELECT set_config('statement_timeout', %s, true)"  # a pooler may keep the rest
        connection.execute(limit, [f"{milliseconds}ms"])
        yield connection
        connection.rollback()  # after an error psycopg does, and lets the error be told


def _is_readable(url: str) -> bool:
    """Say whether a URL is one, and has its password where passwords are.

    What libpq says of another one shows it, or what stands after an `@` in its password.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    return not any("@" in str(parts.get(name, "")) for name in ("host", "port", "dbname"))


def _type_of(cursor: psycopg.ServerCursor[Any], place: int) -> pa.DataType:
    """Return the Arrow type of a column; of a type that is not taken, one that no rule takes."""
    code = (cursor.description or ())[place].type_code
    known = cursor.connection.adapters.types.get(code)
    if known is None or known.oid != code:  # an array has its element's name
        return pa.binary()
    return _TYPES.get(known.name, pa.binary())


def _table(rows: Sequence[Sequence[Any]], schema: pa.Schema, places: Sequence[int]) -> pa.Table:
    arrays = [
        _array([row[place] for row in rows], field)
        for place, field in zip(places, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    form = _FORMS.get(next((type(one) for one in values if one is not None), type(None)))
    if form is not None:
        values = [None if one is None else form(one) for one in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        problem = first_line(error)
        raise InvalidSourceRowsError(
            file="the answer", column=field.name, problem=problem
        ) from error


def _said(error: psycopg.Error) -> str:
    """Return what the server said, without what the driver adds: it may show the address."""
    primary = error.diag.message_primary
    return f"{primary} ({error.sqlstate})" if primary else first_line(error)


_PROOF: type[Source] = SqlQuery
