"""Calling another server on somebody's word, without being led into our own network.

What always holds: https only; the name is resolved once, every address it has is checked, and the
connection goes to a checked address and nowhere else (a second answer of the resolver cannot
change that); no redirects; no proxy; bounded in time and bytes. An operator may allow the private
network for one destination (`private`), and then plain HTTP to this machine.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from typing_extensions import override

from mlreg.registry.domain.addresses import is_loopback, is_public
from mlreg.registry.domain.errors import InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 256 * 2**10


class ForbiddenDestinationError(InvalidError):
    """A URL that our server does not call: its scheme, or where its name leads."""

    code = "forbidden_destination"

    def __init__(self, *, url: str, reason: str) -> None:
        super().__init__(f"{url[:200]!r} is not called: {reason}")


class NoAnswerError(UnavailableError):
    """The other server gave no usable answer."""

    code = "destination_unavailable"

    def __init__(self, *, url: str, cause: str) -> None:
        super().__init__(f"no usable answer from {url[:200]!r}: {cause}")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes: the name it is made under, and the checked address."""

    url: str
    scheme: str
    host: str
    port: int
    address: str
    target: str


def resolve(host: str, port: int) -> list[str]:
    """Return every address of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def check_destination(
    url: str, *, private: bool = False, resolved: Callable[[str, int], list[str]] = resolve
) -> Destination:
    """Resolve a URL's host, once, and check every address.

    Raises:
        ForbiddenDestinationError: not https, or a name that leads into a private network.
        NoAnswerError: the name is unknown.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ForbiddenDestinationError(url=url, reason=str(error)) from error
    host = parts.hostname
    if not host or parts.username is not None or parts.scheme not in {"https", "http"}:
        raise ForbiddenDestinationError(url=url, reason="it is no https URL of a host")
    try:
        addresses = resolved(host, port)
    except (OSError, UnicodeError) as error:
        raise NoAnswerError(url=url, cause="the name is unknown") from error
    reason = _refusal(parts.scheme, addresses, private=private)
    if reason:
        raise ForbiddenDestinationError(url=url, reason=reason)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(url, parts.scheme, host, port, addresses[0], target)


def open_destination(
    to: Destination,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    trust: ssl.SSLContext | None = None,
) -> http.client.HTTPConnection:
    """Return a connection, not yet open, to the checked address, under the name of the URL.

    Args:
        to: where to.
        timeout_seconds: for each step.
        trust: whose certificates count; by default the system's.
    """
    if to.scheme == "http":
        return http.client.HTTPConnection(to.address, to.port, timeout=timeout_seconds)
    return _PinnedConnection(to, timeout_seconds, trust or ssl.create_default_context())


def fetch(
    url: str, *, private: bool = False, resolved: Callable[[str, int], list[str]] = resolve
) -> bytes:
    """Return the body of a GET, at most 256 KiB.

    Raises:
        ForbiddenDestinationError, NoAnswerError: it was not called, or did not answer 200.
    """
    to = check_destination(url, private=private, resolved=resolved)
    connection = open_destination(to)
    try:
        headers = {"Host": host_header(to), "Accept": "application/json"}
        connection.request("GET", to.target, headers=headers)
        response = connection.getresponse()
        body = response.read(MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(url=url, cause=type(error).__name__) from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise NoAnswerError(url=url, cause=f"it answered {response.status}")
    if len(body) > MAX_BYTES:
        raise NoAnswerError(url=url, cause=f"its answer is larger than {MAX_BYTES} bytes")
    return body


class _PinnedConnection(http.client.HTTPSConnection):
    """TLS to a checked address, with the certificate checked for the URL's name."""

    def __init__(self, to: Destination, timeout_seconds: float, trust: ssl.SSLContext) -> None:
        super().__init__(to.host, to.port, timeout=timeout_seconds)
        self._address = to.address
        self._trust = trust

    @override
    def connect(self) -> None:
        """Connect to the address that was checked, not to what the name leads to by now."""
        # a socket that was wrapped has given its descriptor away: only one that was not is closed
        with socket.create_connection((self._address, self.port), self.timeout) as raw:
            self.sock = self._trust.wrap_socket(raw, server_hostname=self.host)


def _refusal(scheme: str, addresses: list[str], *, private: bool) -> str:
    if not addresses:
        return "its name has no address"
    if scheme == "http" and not (private and all(map(is_loopback, addresses))):
        return "only https is"
    if not private and not all(map(is_public, addresses)):
        return "its name leads into a private network"
    return ""


def host_header(to: Destination) -> str:
    """Return the `Host` of a request to a destination."""
    host = f"[{to.host}]" if ":" in to.host else to.host
    return host if to.port in {80, 443} else f"{host}:{to.port}"
