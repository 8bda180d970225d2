"""The short way into the log: small JSON bodies, without FastAPI's dependencies, in group commits.

A serving process that logs each prediction by itself sends thousands of requests a second, so that
what a request costs counts: the gate has checked the token, the limits have read and checked the
body, the group commit does the rest (`services/group_commit.py`). Whatever is not small, or no
JSON, goes on to the routes of `feedback.py`. Both ways refuse the same things in the same words.
"""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from mlreg.controller.api.log_parts import Waiting, log_parts_of
from mlreg.controller.domain.batches import Kind
from mlreg.controller.services.group_commit import SmallRequest
from mlreg.controller.services.small_batches import SmallBody
from mlreg.registry.api.context import caller_of
from mlreg.registry.api.limits import read_here
from mlreg.registry.api.permission import permit

MAX_SMALL_BYTES = 16 * 2**10
MAX_BATCH_ID_LENGTH = 200
_JSON = b"application/json"


def routes(prefix: str) -> list[BaseRoute]:
    """Return the routes of small batches below an API prefix; to be asked before all others."""
    path = f"{prefix}/models/{{model}}/"
    return [
        SmallRoute(path + kind, log_small, methods=["POST"], name=f"log_small_{kind}")
        for kind in ("predictions", "labels")
    ]


class SmallRoute(Route):
    """Takes JSON of a known, small length only."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route, as Starlette asks."""
        match, found = super().matches(scope)
        if match is Match.FULL and _is_small(scope):
            return match, found
        return Match.NONE, {}

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, without Starlette's wrappers; the app's own one answers errors."""
        answer = await log_small(Request(scope, receive))
        await answer(scope, receive, send)


async def log_small(request: Request) -> Response:
    """Keep a small batch, once per batch id; answered when it is durable."""
    model = request.path_params["model"]
    permit(caller_of(request), "log.write", model)
    kind = cast("Kind", request.scope["path"].rsplit("/", 1)[-1])
    batch_id = _batch_id(request.scope)
    body = SmallBody(await request.body(), batch_id, read_here(request.scope))
    waiting: Waiting = asyncio.get_running_loop().create_future()
    parts = await log_parts_of(request)
    parts.commits.submit(SmallRequest(model, kind, body, waiting))
    accepted = await waiting
    known = "true" if accepted.duplicate else "false"
    # By hand, as this is asked for thousands of times a second; a batch id needs no escapes.
    content = f'"batch_id": "{accepted.batch_id}", "rows": {accepted.rows}, "duplicate": {known}'
    return Response("{" + content + "}", media_type="application/json")


log_small.action = "log.write"  # type: ignore[attr-defined]  # as `permission.may` says it


def _is_small(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    return (
        headers.get(b"content-type", b"").split(b";")[0].strip().lower() == _JSON
        and length.isdigit()
        and 0 < int(length) <= MAX_SMALL_BYTES
        and len(_batch_id(scope) or "") <= MAX_BATCH_ID_LENGTH
    )


def _batch_id(scope: Scope) -> str | None:
    query: bytes = scope["query_string"]
    if not query:
        return None
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("batch_id")
    return given[-1] if given else None
