"""Opening HTTP connections with the standard library, proxies and TLS included.

The standard library and not httpx, because importing httpx alone costs 0.15 s, which is most of
what `mlreg status` may take (docs/adr/0004).
"""

from __future__ import annotations

import http.client
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

Scheme = Literal["http", "https"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a server, and the path below which its API lives."""

    scheme: Scheme
    host: str
    port: int
    prefix: str


def parse_origin(url: str) -> Origin:
    """Take a server's URL apart.

    Raises:
        InvalidError: it is not an http or https URL with a host.
    """
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise InvalidError(f"{url!r} is not a URL: {error}", code="invalid_url") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidError(f"{url!r} is not an http or https URL", code="invalid_url")
    scheme: Scheme = "https" if parts.scheme == "https" else "http"
    default_port = 443 if scheme == "https" else 80
    return Origin(scheme, parts.hostname, port or default_port, parts.path.rstrip("/"))


def open_connection(origin: Origin, timeout_seconds: float) -> http.client.HTTPConnection:
    """Return a connection (not yet connected) to the origin, through its proxy if one is set.

    `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count; certificates are checked against the system's
    store, or `SSL_CERT_FILE`.
    """
    proxy = _proxy(origin)
    host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
    connection: http.client.HTTPConnection
    if origin.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_seconds)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    if proxy:
        connection.set_tunnel(origin.host, origin.port)
    return connection


def _proxy(origin: Origin) -> Origin | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):  # noqa: TID251 - an edge
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 10 ms, seldom needed

    url = getproxies().get(origin.scheme)
    if not url or proxy_bypass(origin.host):
        return None
    return parse_origin(url)


@contextmanager
def broken_off(connection: http.client.HTTPConnection, seconds: float) -> Iterator[threading.Event]:
    """Break a connection off that takes longer, however steadily it drips.

    Yields an event that is set once it was: what was read until then may look like the whole.
    """
    late = threading.Event()

    def break_off() -> None:
        late.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(2)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
