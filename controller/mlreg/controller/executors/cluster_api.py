"""A cluster's API over HTTP and JSON, with the standard library.

What always holds: one request is one connection, bounded in time and in size; an answer that is no
answer is `EngineUnreachableError`, a refusal is `EngineRefusedError` in the cluster's words; the
token is sent to that one origin, follows no redirect, and is in no message.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlreg.client.connection import Origin, broken_off, open_connection, parse_origin
from mlreg.controller.executors.engine import EngineRefusedError, EngineUnreachableError

TIMEOUT_SECONDS = 20.0
MAX_ANSWER_BYTES = 64 * 2**20
MAX_CAUSE = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object that it is; empty when it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """What it says, on one short plain line."""
        said = self.document.get("message") or self.body[:MAX_CAUSE].decode(errors="replace")
        line = " ".join(str(said).split())[:MAX_CAUSE]
        return "".join(letter for letter in line if letter.isprintable()) or f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class ClusterApi:
    """One API.

    Attributes:
        url: http or https.
        token: returns the bearer token anew for each request, for some expire; None sends none.
        ca_file: the certificates that its own may be signed by, where not the system's.
    """

    url: str
    token: Callable[[], str] | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def ask(self, verb: str, path: str, body: object = None, *, absent: bool = False) -> Answer:
        """Send one request.

        Args:
            verb: GET, POST or DELETE.
            path: below the URL, with its query.
            body: sent as JSON, if not None.
            absent: whether 404 is an answer rather than a refusal.

        Raises:
            EngineUnreachableError: no answer came in time, or a server error (5xx) did, or it
                has too much to do (429), which passes.
            EngineRefusedError: another status than 2xx came.
        """
        try:
            answer = self._exchange(verb, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = " ".join(str(error).split())[:MAX_CAUSE] or type(error).__name__
            raise EngineUnreachableError(where=self.url, cause=cause) from error
        busy = answer.status == http.client.TOO_MANY_REQUESTS
        if busy or answer.status >= http.client.INTERNAL_SERVER_ERROR:
            raise EngineUnreachableError(where=self.url, cause=answer.words)
        if answer.status == http.client.NOT_FOUND and absent:
            return answer
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise EngineRefusedError(where=self.url, cause=f"{answer.status}, {answer.words}")
        return answer

    def _exchange(self, verb: str, path: str, body: object) -> Answer:
        headers = {"Accept": "application/json", "Connection": "close"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token()}"
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        origin = parse_origin(self.url)
        connection = self._connection(origin)
        try:
            with broken_off(connection, TIMEOUT_SECONDS) as late:
                connection.request(verb, origin.prefix + path, content, headers)
                answer = connection.getresponse()
                found = answer.read(MAX_ANSWER_BYTES)
            if late.is_set():
                raise TimeoutError
            if answer.length:  # `read` with a bound does not mind an end that comes too early
                raise http.client.IncompleteRead(found, answer.length)
            return Answer(answer.status, found)
        finally:
            connection.close()

    def _connection(self, origin: Origin) -> http.client.HTTPConnection:
        if self.ca_file is None or origin.scheme == "http":
            return open_connection(origin, TIMEOUT_SECONDS)
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(
            origin.host, origin.port, timeout=TIMEOUT_SECONDS, context=context
        )
