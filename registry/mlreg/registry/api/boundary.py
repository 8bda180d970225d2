"""The outermost layer of the API: whose name it answers to, and who may make a browser call it.

What always holds: a `Host` that is not ours is refused (DNS rebinding); an unsafe request that a
browser sends for another site is refused (cross-site request forgery); a path or query with a NUL
goes nowhere; every answer carries the headers that keep a browser from guessing, and a policy that
lets nothing in, where it has none of its own (the pages').
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlreg.registry.api.problems import problem

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::\d{1,5})?", re.ASCII)
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Boundary:
    """Refuses foreign hosts and foreign origins."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        reason = self._refusal(scope, headers)
        if reason is not None:
            status, code, detail = reason
            await problem(status, code, detail, kind="invalid")(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"]
                policy = () if any(name == POLICY[0] for name, _ in own) else (POLICY,)
                message["headers"] = [*own, *SECURITY_HEADERS, *policy]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if "*" not in self.hosts and _name_of(host) not in self.hosts:
            return 400, "unknown_host", "this server does not answer to that Host"
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return 400, "invalid_path", "a path or query has no NUL"
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers, host):
            return 403, "foreign_origin", "another site may not call this server"
        return None


def _is_foreign(headers: dict[bytes, bytes], host: str) -> bool:
    if headers.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"}:
        return True
    origin = headers.get(b"origin")
    ours = (f"http://{host}".lower(), f"https://{host}".lower())
    return origin is not None and origin.decode("latin-1").lower() not in ours


def _name_of(host: str) -> str:
    """Return the name or address in a Host header, empty when it is no plain one."""
    found = _HOST.fullmatch(host)
    return "" if found is None else (found["address"] or found["name"]).lower()
