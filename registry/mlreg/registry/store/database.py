"""The door to PostgreSQL: one engine, reading sessions and writing sessions.

What always holds: READ COMMITTED everywhere; a reading session cannot write (the transaction is
READ ONLY); a writing session commits when its block ends well and rolls back when it does not.
Only the edge (a route, a command, a tick, a job) opens a session; services are handed one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlmodel import Session

from mlreg.registry.domain.errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000


class ReadSession(Session):
    """A session that may only read."""


class WriteSession(ReadSession):
    """A session that may also write; its block commits as a whole or not at all."""


def connection_url(url: str) -> str:
    """Return the URL with psycopg 3 as its driver, however its dialect was spelt."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


class Database:
    """A PostgreSQL database (15 or newer) behind a bounded pool of connections."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
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
                "application_name": "mlreg",
                "options": (
                    f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
                    f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
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
            WriteSession(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

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
