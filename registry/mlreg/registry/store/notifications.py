"""Listening to PostgreSQL's NOTIFY, with a poll beneath it.

What always holds: a notification is a hint and never the truth. `listen` yields after every hint,
at least once per poll, and once after every (re)connection, and each time its caller reads the
state again. It outlives restarts of the server.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

LOG = logging.getLogger(__name__)
DEPLOYMENT_CHANNEL = "mlreg_deployment"
TOKEN_CHANNEL = "mlreg_token"  # noqa: S105 - the name of a channel
RECONNECT_SECONDS = 0.5
STOP_SECONDS = 0.1

Occasion = Literal["connected", "notified", "poll", "unreachable"]


def listen(
    url: str, channels: Sequence[str], *, poll_seconds: float, stop: threading.Event
) -> Iterator[Occasion]:
    """Yield whenever the state should be read again, until `stop` is set.

    `unreachable` says that the server could not be reached this time; what is known grows old.
    """
    while not stop.is_set():
        try:
            with _listening(url, channels) as connection:
                yield "connected"
                while not stop.is_set():
                    yield _wait(connection, poll_seconds, stop)
        except psycopg.Error as error:  # of whatever kind: a thread stands behind it
            LOG.warning("lost the connection that listens: %s", str(error).splitlines()[:1])
            yield "unreachable"
            stop.wait(RECONNECT_SECONDS)


def _wait(
    connection: psycopg.Connection[tuple[object, ...]], seconds: float, stop: threading.Event
) -> Occasion:
    """Return after a hint, after `seconds`, or soon after `stop` is set."""
    until = time.monotonic() + seconds
    while not stop.is_set() and time.monotonic() < until:
        if list(connection.notifies(timeout=min(seconds, STOP_SECONDS), stop_after=1)):
            return "notified"
    return "poll"


def _listening(url: str, channels: Sequence[str]) -> psycopg.Connection[tuple[object, ...]]:
    named = make_url(url)  # libpq reads some passwords in a URL differently from SQLAlchemy
    given = named.translate_connect_args(username="user", database="dbname")
    words = {**given, **named.query, "application_name": "mlreg-listen"}
    connection: psycopg.Connection[tuple[object, ...]] = psycopg.connect(
        make_conninfo(**{name: str(word) for name, word in words.items()}),
        autocommit=True,
        connect_timeout=5,
    )
    for channel in channels:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    return connection
