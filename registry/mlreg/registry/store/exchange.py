"""One exchange with PostgreSQL: statements sent at once, and all their answers awaited together.

What always holds: the statements are run one after the other in the connection's transaction, each
with a snapshot of its own, as if they were sent one by one; the first that fails is raised as
SQLAlchemy would, and none after it is run. The BEGIN goes with them where no transaction is open,
and the COMMIT where it is asked for: a whole transaction costs one write to the socket.

The driver's own pipelines write to the socket, and may wait for the interpreter's lock, once per
statement, and wait for the answer to their BEGIN. That took half of the processor time of a small
write, and held the audit log's head between its statement and the COMMIT.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import pq
from psycopg._preparing import Prepare
from psycopg._queries import PostgresRawQuery
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import Wait
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from sqlalchemy import ClauseElement, Connection

    Question = tuple[ClauseElement, Mapping[str, object]]
    Driver = psycopg.Connection[tuple[object, ...]]

_DIALECT = dialects.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy's


def exchange(
    connection: Connection,
    questions: Sequence[Question],
    *,
    binary: bool = False,
    commit: bool = False,
) -> list[list[tuple[Any, ...]]]:
    """Run statements, and return the rows that each answers.

    Args:
        connection: of the transaction.
        questions: statements and their values; a document is its JSON, cast where it is used.
        binary: how bytes are answered; else as hexadecimal text, which is twice as long.
        commit: whether the transaction ends with them.
    """
    driver = cast("Driver", connection.connection.driver_connection)
    with _raising_as_sqlalchemy(connection, driver):
        idle = driver.info.transaction_status is pq.TransactionStatus.IDLE
        begin = _begin(driver) if idle else b""
        driver.pgconn.enter_pipeline_mode()
        try:
            return _Sending(driver, binary=binary).run(begin, questions, commit=commit)
        finally:
            if driver.pgconn.status == pq.ConnStatus.OK:
                driver.pgconn.exit_pipeline_mode()


class _Sending:
    """Statements on their way.

    They are prepared at their first use, in the driver's own list of what is prepared: it forgets
    all with every ROLLBACK, and what is sent beside it would be forgotten too.

    Args:
        driver: the connection, in its pipeline mode.
        binary: whether answers come in their binary form.
    """

    def __init__(self, driver: Driver, *, binary: bool) -> None:
        self._driver, self._to = driver, driver.pgconn
        self._prepared = driver._prepared  # noqa: SLF001 - there is no other way to it
        self._answers_rows: list[bool] = []
        self._format = pq.Format.BINARY if binary else pq.Format.TEXT

    def run(
        self, begin: bytes, questions: Sequence[Question], *, commit: bool
    ) -> list[list[tuple[Any, ...]]]:
        """Send all, wait for all, and return the rows of the questions."""
        queries = [self._query(*question) for question in questions]  # before anything is sent
        if begin:
            self._say(begin)
        for query in queries:
            self._ask(query)
        if commit:
            self._say(b"COMMIT")
        self._to.pipeline_sync()
        results = self._driver.wait(_results(self._to))
        reading, rows = Transformer(self._driver), []
        for result, answers_rows in zip(results, self._answers_rows, strict=False):
            if result.status == pq.ExecStatus.FATAL_ERROR:  # the last result, then
                raise error_from_result(result)
            if answers_rows:
                reading.set_pgresult(result)
                rows.append(reading.load_rows(0, result.ntuples, tuple))
        return rows

    def _say(self, words: bytes) -> None:
        self._to.send_query_params(words, None)
        self._answers_rows.append(False)

    def _query(self, statement: ClauseElement, values: Mapping[str, object]) -> PostgresRawQuery:
        written, names, constants = _written(statement)
        every = {**constants, **values}
        query = PostgresRawQuery(Transformer(self._driver))
        query.convert(written, [every[name] for name in names])
        return query

    def _ask(self, query: PostgresRawQuery) -> None:
        prepare, name = self._prepared.get(query, prepare=True)
        if prepare is Prepare.SHOULD:
            self._to.send_prepare(name, query.query, query.types)
            self._answers_rows.append(False)
        self._prepared.maybe_add_to_cache(query, prepare, name)
        self._to.send_query_prepared(name, query.params, query.formats, self._format)
        self._answers_rows.append(True)


def _results(pgconn: pq.abc.PGconn) -> Generator[Wait, int, list[pq.abc.PGresult]]:
    """Yield what is to be waited for, and return the results up to the end of what was sent."""
    while pgconn.flush():
        yield Wait.RW
        pgconn.consume_input()
    results: list[pq.abc.PGresult] = []
    while True:
        while pgconn.is_busy():
            yield Wait.R
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            if pgconn.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError(pgconn.get_error_message())
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)


def _begin(driver: Driver) -> bytes:
    return b"BEGIN READ ONLY" if driver.read_only else b"BEGIN"


@lru_cache(maxsize=64)
def _written(statement: ClauseElement) -> tuple[bytes, Sequence[str], Mapping[str, object]]:
    """Return a statement with `$1`, `$2` …, what these are called, and those that it brings."""
    compiled = statement.compile(dialect=_DIALECT)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what compiles statements
    return str(compiled).encode(), tuple(compiled.positiontup or ()), compiled.params


@contextmanager
def _raising_as_sqlalchemy(connection: Connection, driver: Driver) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does, which is how everybody here knows them."""
    try:
        yield
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=driver.closed,
            dialect=connection.dialect,
        ) from error
