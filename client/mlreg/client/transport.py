"""The one way to the server: typed calls over kept-alive connections, one per thread.

What always holds: an answer of 400 or more is raised as an error of `errors.py`; every POST bears
an `Idempotency-Key`, so a call whose connection broke is repeated without doing anything twice;
bodies that cannot be sent again (streams) are never repeated; who is told to send less waits as
long as the server says, within bounds.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar
from urllib.parse import quote, urlencode

from mlreg.client.connection import open_connection, parse_origin
from mlreg.client.errors import InvalidError, ServerError, UnreachableError, error_from_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel

    from mlreg.client.wire.base import Request

    Content = bytes | BinaryIO | Iterable[bytes]

JSON = "application/json"
PAUSES_SECONDS = (0.1, 0.4)
REPEAT_WITHIN_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 2**20
RETRIED_STATUS = 503
LIMITED_STATUS, LIMITED_CODE = 429, "too_many_requests"
WAIT_WITHIN_SECONDS = 60.0
_BROKEN = (OSError, http.client.HTTPException)

A = TypeVar("A", bound="BaseModel")


class Download(Protocol):
    """The body of an answer on its way in."""

    status: int

    def read(self, amount: int = -1, /) -> bytes:
        """Return up to `amount` bytes; empty at the end."""
        ...

    def getheader(self, name: str) -> str | None:
        """Return a header of the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request before it is sent; `content` may be bytes, a file, or chunks."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    content: Content | None = None
    content_type: str = JSON
    content_length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again: its bytes are all here, and twice is the same as once."""
        return self.content is None or isinstance(self.content, bytes)

    @property
    def target(self) -> str:
        """The path with its query, escaped."""
        pairs = {k: _query_value(v) for k, v in self.query.items() if v is not None}
        return self.path + (f"?{urlencode(pairs)}" if pairs else "")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer below 400, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Calls one server as the bearer of one token."""

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 60.0) -> None:
        self.url = url
        self._origin = parse_origin(url)
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._local = threading.local()

    def get(self, path: str, answer: type[A], **query: object) -> A:
        """Read a resource."""
        return parsed(self.send(Call("GET", path, query)), answer)

    def post(
        self, path: str, body: Request | None, answer: type[A], *, if_match: str | None = None
    ) -> A:
        """Change something, at most once."""
        headers = {"If-Match": if_match} if if_match is not None else {}
        content = b"{}" if body is None else body.model_dump_json(exclude_unset=True).encode()
        return parsed(self.send(Call("POST", path, content=content, headers=headers)), answer)

    def send(self, call: Call) -> Reply:
        """Send a call and read its whole answer.

        Raises:
            MlregError: the branch that fits the server's problem, or UnreachableError.
        """
        call = _keyed(call)
        with self._exchange(call) as response:
            body = response.read(MAX_ANSWER_BYTES + 1)
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, body)

    @contextmanager
    def stream(self, call: Call) -> Iterator[Download]:
        """Send a call and hand out its answer unread; the connection closes at the end."""
        with self._exchange(call) as response:
            try:
                yield response
            finally:
                self.close()

    def authorised(self, place: str) -> tuple[str, Mapping[str, str]]:
        """Return the whole URL of a path, and the headers without which it opens nothing."""
        origin = self._origin
        url = f"{origin.scheme}://{origin.host}:{origin.port}{origin.prefix}{place}"
        return url, {"Authorization": f"Bearer {self._token}"}

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @contextmanager
    def _exchange(self, call: Call) -> Iterator[http.client.HTTPResponse]:
        response = self._answered(call)
        if response.status >= 400:  # noqa: PLR2004 - HTTP's own border
            raise error_from_problem(response.status, _problem(response))
        try:
            yield response
        except _BROKEN as error:
            self.close()
            raise self._unreachable(error) from error

    def _answered(self, call: Call) -> http.client.HTTPResponse:
        """Return the first answer that does not ask to send less, for a minute at most.

        Nothing was done for such an answer. Only its own code counts: a wrong token, which is
        answered 429 too after many guesses, is as wrong after a wait.
        """
        until = time.monotonic() + WAIT_WITHIN_SECONDS
        while (response := self._lasting(call)).status == LIMITED_STATUS:
            wait, problem = _retry_after_seconds(response), _problem(response)
            limited = problem.get("code") == LIMITED_CODE and call.repeatable
            if not limited or time.monotonic() + wait > until:
                raise error_from_problem(response.status, problem)
            time.sleep(wait)
        return response

    def _lasting(self, call: Call) -> http.client.HTTPResponse:
        """Return the first answer that is no passing outage, or the last one."""
        began = time.monotonic()
        for pause in (*PAUSES_SECONDS, None):
            final = pause is None or not call.repeatable
            try:
                response = self._once(call)
                final = final or time.monotonic() - began > REPEAT_WITHIN_SECONDS
                if final or response.status != RETRIED_STATUS:
                    return response
                response.read()
            except _BROKEN as error:
                self.close()
                if final:
                    raise self._unreachable(error) from error
            time.sleep(pause or 0.0)
        raise AssertionError  # pragma: no cover - the last round returns or raises

    def _once(self, call: Call) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        reused = connection is not None
        if connection is None:
            connection = open_connection(self._origin, self._timeout_seconds)
            self._local.connection = connection
        try:
            return self._request(connection, call)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not (reused and call.repeatable):
                raise
        return self._once(call)  # the server had closed the idle connection; a new one tells

    def _request(
        self, connection: http.client.HTTPConnection, call: Call
    ) -> http.client.HTTPResponse:
        connection.timeout = call.timeout_seconds or self._timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)
        target = self._origin.prefix + call.target
        connection.request(call.method, target, body=call.content, headers=self._headers(call))
        return connection.getresponse()

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": JSON, **call.headers}
        if call.content is not None:
            headers["Content-Type"] = call.content_type
        if call.content_length is not None:
            headers["Content-Length"] = str(call.content_length)
        return headers

    def _unreachable(self, error: Exception) -> UnreachableError:
        cause = str(error) or type(error).__name__
        return UnreachableError(
            f"no answer from {self.url}: {cause}",
            code="server_unreachable",
            hint="Is the server running (`mlreg up`)? Set MLREG_URL, or use `mlreg login URL`.",
        )


def path(*segments: object) -> str:
    """Return `/api/v1/…` with every segment escaped.

    Raises:
        InvalidError: a segment is empty or a dot, which names nothing.
    """
    if any(str(segment) in {"", ".", ".."} for segment in segments):  # a URL would swallow them
        raise InvalidError("a name is empty, '.' or '..'", code="invalid_name")
    return "/api/v1/" + "/".join(quote(str(segment), safe="") for segment in segments)


def parsed(reply: Reply, answer: type[A]) -> A:
    """Return the reply as a typed answer.

    Raises:
        ServerError: the bytes do not fit (is the server much newer or older than this client?).
    """
    try:
        return answer.model_validate_json(reply.body)
    except ValueError as error:
        raise ServerError(
            f"the server's answer is not a {answer.__name__}",
            code="version_skew",
            hint="Client and server may be of different versions of mlreg.",
            status=reply.status,
        ) from error


def _keyed(call: Call) -> Call:
    if call.method != "POST" or "Idempotency-Key" in call.headers:
        return call
    headers = {**call.headers, "Idempotency-Key": secrets.token_hex(16)}
    return replace(call, headers=headers)


def _query_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retry_after_seconds(response: http.client.HTTPResponse) -> float:
    """Return how long the server asks to wait; at least a moment."""
    given = response.getheader("Retry-After") or ""
    return max(float(given), PAUSES_SECONDS[0]) if given.isascii() and given.isdigit() else 1.0


def _problem(response: http.client.HTTPResponse) -> Mapping[str, object]:
    try:
        problem = json.loads(response.read(2**20))
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
