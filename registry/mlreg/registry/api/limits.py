"""The central guard over request bodies: size while reading, and what JSON may be.

What always holds: no route sees a JSON body beyond 1 MiB, with duplicate keys, NaN or infinity,
depth over 32, more than 10,000 keys, an over-long string, control or bidirectional characters, or a
lone surrogate. Streams (Arrow, Parquet, CSV, octets) are counted as they pass. A short JSON body is
handed on as it was understood here (`read_here`), so that nobody need read it again.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlreg.registry.api.problems import problem_of
from mlreg.registry.api.strict_json import check_json
from mlreg.registry.domain.errors import InvalidError

MIB = 2**20
JSON_TYPES = {b"application/json"}
LIMITS: dict[bytes, int] = {
    b"application/json": MIB,
    b"application/x-www-form-urlencoded": 16 * 2**10,
    b"application/vnd.apache.arrow.stream": 64 * MIB,
    b"application/vnd.apache.parquet": 1024 * MIB,
    b"application/x-ndjson": 1024 * MIB,
    b"text/csv": 1024 * MIB,
    b"application/yaml": MIB,
    b"application/octet-stream": 64 * 1024 * MIB,
}
IN_THREAD_BYTES = 32 * 2**10
_READ = "json"
BODY_METHODS = {"POST", "PUT", "PATCH", "DELETE"}


class BodyTooLargeError(InvalidError):
    """A body beyond the limit of its content type."""

    code = "body_too_large"
    status = 413

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


class UnsupportedMediaTypeError(InvalidError):
    """A body of a content type that no route takes."""

    code = "unsupported_media_type"
    status = 415

    def __init__(self, *, kind: str) -> None:
        super().__init__(f"bodies of type {kind[:80]!r} are not taken here")


class Limits:
    """Checks every body before, or while, a route reads it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request (ASGI)."""
        if scope["type"] != "http" or scope["method"] not in BODY_METHODS:
            await self.app(scope, receive, send)
            return
        try:
            receive = await _limited(scope, receive)
        except InvalidError as error:
            await problem_of(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def read_here(scope: Scope) -> object:
    """Return what a short JSON body is; None where there is none."""
    return scope.get("state", {}).get(_READ)


async def _limited(scope: Scope, receive: Receive) -> Receive:
    """Return a `receive` that hands out no body but one that is taken here."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind not in LIMITS and _has_body(headers):
        raise UnsupportedMediaTypeError(kind=kind.decode("latin-1"))
    limit = LIMITS.get(kind, 0)
    if kind in JSON_TYPES:
        return await _checked_json(scope, receive, limit)
    return _counted(receive, limit)


async def _checked_json(scope: Scope, receive: Receive, limit: int) -> Receive:
    """Read the whole body, check it, and return a `receive` that hands it out."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(limit=limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    body = b"".join(chunks)
    if len(body) > IN_THREAD_BYTES:
        await run_in_threadpool(check_json, body)
    elif body:
        scope.setdefault("state", {})[_READ] = check_json(body)
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return rest.pop() if rest else await receive()

    return replay


def _counted(receive: Receive, limit: int) -> Receive:
    """Return a `receive` that refuses to hand out more than `limit` bytes."""
    size = 0

    async def count() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise BodyTooLargeError(limit=limit)
        return message

    return count


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
