"""Databases like a template, each copied while the test before it runs, and dropped behind it."""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg

TRIES = 10  # the server waits five seconds at each
_NUMBERS = itertools.count(1)


class Clones:
    """Take a database, and give it back; one thread of its own does the work, in this order.

    Args:
        admin_url: the superuser's, of a database that is not the template.
        template: the name of the database to copy, to which nobody connects.
    """

    def __init__(self, admin_url: str, template: str) -> None:
        self._admin_url, self._template = admin_url.replace("+psycopg", ""), template
        self._thread = ThreadPoolExecutor(1, "clones")
        self._dropped: list[Future[None]] = []
        self._next = self._thread.submit(self._make)

    def take(self) -> str:
        """Return the name of a database that nobody has used, and begin to make the next one."""
        name = self._next.result()
        self._next = self._thread.submit(self._make)
        return name

    def give_back(self, name: str) -> None:
        """Drop a database soon, whoever is connected to it."""
        self._dropped.append(self._thread.submit(self._drop, name))

    def settle(self) -> None:
        """Return when the server has nothing to do for other tests: who kills it waits for that."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        """Return when all is done.

        Raises:
            psycopg.Error: a database could not be dropped.
        """
        self._thread.shutdown()
        for dropped in self._dropped:
            dropped.result()

    def _make(self) -> str:
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY"
            )
        return name

    def _drop(self, name: str) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            for _ in range(TRIES - 1):
                with suppress(psycopg.errors.ObjectInUse):  # who was ended has not left in time
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                    return
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
