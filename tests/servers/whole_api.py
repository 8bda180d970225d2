"""The whole API as `mlreg serve` plugs it together, in this process, with a hand to knock with."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg
from fastapi.routing import iter_route_contexts

from mlreg.cli.postgres.roles import APP
from mlreg.cli.server import Parts, api_of
from mlreg.cli.settings import Settings
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.services import access
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from tests.servers.api import RunningApi


class WholeApi(RunningApi):
    """Every room's routes over one database and store."""

    def __init__(self, database, store, folder) -> None:
        settings = Settings(database_url=database.url, artifacts_url=folder.as_uri())
        parts = Parts(database, store, SystemClock())
        super().__init__(parts, api_of(parts, settings))

    def routes(self):
        """Yield (method, path, context) of every route."""
        for context in iter_route_contexts(self.app.routes):
            for method in sorted(context.methods or ["GET"]):
                if method != "HEAD":
                    yield method, context.path, context

    def make_token(self, name, **options):
        """Return the text of a new token, made past the API."""
        with self.parts.database.writing() as session:
            issued = access.issue_token(
                session,
                name,
                **{"kind": "service", **options},
                actor=access.SYSTEM,
                now=SystemClock().now(),
            )
        return issued.bearer

    def knocker(self, token=None):
        """Return a kept-alive connection with that token."""
        return Knocker(self.url, token)


@contextmanager
def whole_api(postgres, template, folder, name):
    """Run a whole API over a database of that name of its own, for a module's tests."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        # a module whose tests move to and fro between workers sets itself up anew
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    database = Database(postgres.url(name, APP))
    running = WholeApi(database, open_store(folder.as_uri()), folder)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        database.dispose()


@dataclass
class Knock:
    """One answer."""

    status: int
    headers: dict
    body: bytes

    @property
    def problem(self):
        """The problem that it is, or nothing."""
        if "problem" not in self.headers.get("content-type", ""):
            return {}
        return json.loads(self.body)


@dataclass
class Knocker:
    """Sends anything, as it is."""

    url: str
    token: str | None
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def __call__(self, method, path, body=None, headers=None) -> Knock:
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, dict | list):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            answer, content = self._sent(method, path, body, sent)
        except (http.client.RemoteDisconnected, ConnectionError):  # it was idle for too long
            self.connection.close()
            answer, content = self._sent(method, path, body, sent)
        return Knock(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)

    def _sent(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def close(self) -> None:
        self.connection.close()
