"""The door to PostgreSQL: one engine, reading sessions and writing sessions.

What always holds: READ COMMITTED everywhere; a reading session cannot write (the transaction is
READ ONLY); a writing session commits when its block ends well and rolls back when it does not.
Only the edge (a route, a command, a tick, a job) opens a session; services are handed one.

What a writing session leaves for its end (`at_end`) is sent together with the COMMIT. So the audit
log's head, which every change locks, is never locked while Python is waited for: with 32 clients
that waiting was longer than the commit itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session
from typing_extensions import override

from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.store.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ClauseElement, Engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.orm import ORMExecuteState, SessionTransaction

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A network that was cut says nothing: after some 25 seconds a connection counts as broken."""


class ReadSession(Session):
    """A session that may only read."""


class WriteSession(ReadSession):
    """A session that may also write; its block commits as a whole or not at all."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._left: list[tuple[ClauseElement, Mapping[str, object]]] = []

    def at_end(self, statement: ClauseElement, values: Mapping[str, object]) -> None:
        """Leave a statement for the end of the transaction; nobody sees what it answers.

        Its values are as the driver takes them: a document is its JSON, cast where it is used.
        It is run earlier where something is asked or a savepoint is set meanwhile, and at once
        within a savepoint: what follows it sees it. Its errors are raised where it is run.
        """
        self._left.append((statement, values))
        if self.in_nested_transaction():
            self.run_what_is_left()

    def run_what_is_left(self) -> None:
        """Run now what was left for the end."""
        if not self._left:
            return
        left, self._left = self._left, []
        exchange(self.connection(), left)

    def commit_with_what_is_left(self) -> None:
        """Send what was left for the end and the COMMIT at once, and wait for both."""
        self.flush()
        if not self._left:
            return
        left, self._left = self._left, []
        exchange(self.connection(), left, commit=True)
        self.commit()

    @override
    def begin_nested(self) -> SessionTransaction:
        """Set a savepoint."""
        self.run_what_is_left()
        return super().begin_nested()

    @override
    def rollback(self) -> None:
        """End the transaction without a trace; what was left for its end is forgotten."""
        self._left.clear()
        super().rollback()


@event.listens_for(WriteSession, "do_orm_execute")
def _run_first(state: ORMExecuteState) -> None:
    """Run what was left before what is asked now, which may be about it."""
    cast("WriteSession", state.session).run_what_is_left()


def connection_url(url: str) -> str:
    """Return the URL with psycopg 3 as its driver, however its dialect was spelt."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


class Database:
    """A PostgreSQL database (15 or newer) behind a bounded pool of connections.

    Attributes:
        kept: how many connections stay open; as many more may be opened, each for one use.

    `idle_seconds`: a transaction in which nothing is asked for so long is ended by the server.
    """

    def __init__(self, url: str, *, pool_size: int = 10, idle_seconds: float | None = None) -> None:
        idle_ms = IDLE_IN_TRANSACTION_TIMEOUT_MS if idle_seconds is None else idle_seconds * 1e3
        self.kept = pool_size
        self.url = connection_url(url)
        self.engine: Engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            pool_pre_ping=False,
            pool_use_lifo=True,  # few connections stay warm: what they prepared is used again
            hide_parameters=True,  # an error's text goes to logs; what was sent does not
            connect_args={
                "connect_timeout": 5,
                **ALIVE,
                "application_name": "mlreg",
                "options": (
                    f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
                    f" -c idle_in_transaction_session_timeout={idle_ms:.0f}"
                    " -c timezone=UTC"
                ),
            },
        )

    @contextmanager
    def reading(self) -> Iterator[ReadSession]:
        """Open a READ ONLY transaction.

        Raises:
            DatabaseUnreachableError: no connection could be had, or it broke.
        """
        with _named_outages(), ReadSession(self.engine, expire_on_commit=False) as session:
            session.connection(execution_options={"postgresql_readonly": True})
            yield session

    @contextmanager
    def writing(self) -> Iterator[WriteSession]:
        """Open a transaction that commits at the end of the block.

        Raises:
            DatabaseUnreachableError: no connection could be had, or it broke; nothing is certain
                about the commit then, which is why changes carry an idempotency key.
        """
        with (
            _named_outages(),
            WriteSession(self.engine) as session,
            session.begin(),
        ):
            yield session
            session.commit_with_what_is_left()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def _named_outages() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if error.connection_invalidated or _no_connection(error):
            raise DatabaseUnreachableError(cause=_first_line(error)) from error
        raise


def _no_connection(error: DBAPIError) -> bool:
    """Say whether the server was never reached (an SQLSTATE comes only from a server)."""
    return getattr(error.orig, "sqlstate", None) is None


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
