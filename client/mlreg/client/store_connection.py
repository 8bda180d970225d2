"""Parts and ranges at plain URLs: the store's, which the server signed, or the server's own.

What always holds: a signed URL is a secret, so no message names more of it than its host; attempts
are bounded; every thread has a connection of its own, kept alive until all are closed together.
"""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlreg.client.connection import open_connection, parse_origin
from mlreg.client.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

PAUSES_SECONDS = (0.2, 1.0)
TIMEOUT_SECONDS = 60.0
STORE_UNREACHABLE = "store_unreachable"
EXPIRED = {400, 403}
_BROKEN = (OSError, http.client.HTTPException)


class UrlExpiredError(UnreachableError):
    """The store takes the URL no more; another may be asked for."""


class StoreConnections:
    """Connections to one store, one per thread; `headers` go with every request."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def put(self, url: str, body: bytes | memoryview) -> str:
        """Write a part and return the entity tag that the store gave it.

        Raises:
            UrlExpiredError, UnreachableError: the part is not there.
        """
        headers = {"Content-Type": "", "Content-Length": str(len(body))}
        response = self._send("PUT", url, headers, body)
        response.read()
        return response.headers["ETag"] or ""

    def get_range(self, url: str, start: int, into: memoryview) -> None:
        """Fill a buffer with the bytes from `start` on.

        Raises:
            UrlExpiredError, UnreachableError: they did not come.
        """
        headers = {"Range": f"bytes={start}-{start + len(into) - 1}"}
        for pause in (*PAUSES_SECONDS, None):
            try:
                filled = _filled(self._send("GET", url, headers, None), into)
            except _BROKEN as error:
                self._drop()
                filled, cause = False, str(error) or type(error).__name__
            else:
                cause = "it sent fewer bytes than were asked for"
            if filled:
                return
            if pause is None:
                raise _unreachable(url, cause)
            time.sleep(pause)

    def close(self) -> None:
        """Close the connections of every thread."""
        for connection in self._all:
            connection.close()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> http.client.HTTPResponse:
        """Return an answer below 400, unread."""
        for pause in (*PAUSES_SECONDS, None):
            try:
                response = self._once(method, url, headers, body)
                if response.status < 400:  # noqa: PLR2004 - HTTP's own border
                    return response
                response.read()
                cause = f"it answered {response.status}"
                if response.status in EXPIRED:
                    raise UrlExpiredError(cause, code="url_expired")
            except _BROKEN as error:
                self._drop()
                cause = str(error) or type(error).__name__
            if pause is None:
                break
            time.sleep(pause)
        raise _unreachable(url, cause)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_connection(parse_origin(url), TIMEOUT_SECONDS)
            self._local.connection = connection
            self._all.append(connection)
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body, {**self._headers, **headers})
        return connection.getresponse()

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def _filled(response: http.client.HTTPResponse, into: memoryview) -> bool:
    """Read a body into a buffer of its size; False if it has another size."""
    done = 0
    while done < len(into):
        count = response.readinto(into[done:])
        if not count:
            return False
        done += count
    return not response.read(1)


def _unreachable(url: str, cause: str) -> UnreachableError:
    return UnreachableError(
        f"no answer from the artifact store at {urlsplit(url).hostname}: {cause}",
        code=STORE_UNREACHABLE,
        hint="Can this machine reach the store? The server's MLREG_S3_DIRECT=false goes without.",
    )
