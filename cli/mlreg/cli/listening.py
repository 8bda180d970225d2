"""A listening TCP socket, bound before anything heavy starts."""

from __future__ import annotations

import errno
import socket

from mlreg.registry.domain.errors import InvalidError, RefusedError


class PortInUseError(RefusedError):
    """Another program listens on the port."""

    code = "port_in_use"
    hint = "Stop it, or choose another port with --port."

    def __init__(self, *, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use by another program")


class AddressError(InvalidError):
    """The address is none of this machine's, or may not be used."""

    code = "bad_address"

    def __init__(self, *, host: str, port: int, cause: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {cause}")


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes a free one.

    Raises:
        PortInUseError: the port is taken.
        AddressError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host=host, port=port) from error
        raise AddressError(host=host, port=port, cause=error.strerror or str(error)) from error
    listening.listen(2048)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the URL of what listens there, as a client on this machine would write it."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - only shown
    return f"http://{shown}:{port}"
