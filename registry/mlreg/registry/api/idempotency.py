"""`Idempotency-Key` for routes: `once.run(session, act)` acts once and repeats its answer.

```python
@router.post("/models", status_code=201, response_model=ModelAnswer)
def create(body: ModelRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now):
    with writing() as session:
        return once.run(session, now, lambda: answer_of(create_model(session, …)), status=201)
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Response

from mlreg.client.wire.base import Answer
from mlreg.registry.api.context import caller_of
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.services.idempotency import KeyedRequest, StoredAnswer, begin, keep
from mlreg.registry.store.database import WriteSession

HEADER = "idempotency-key"
MAX_KEY = 255
REPLAYED = {"Idempotency-Replayed": "true"}


class InvalidIdempotencyKeyError(InvalidError):
    """A key that is empty, too long, or not printable ASCII."""

    code = "invalid_idempotency_key"

    def __init__(self) -> None:
        super().__init__(f"an Idempotency-Key is 1 to {MAX_KEY} printable ASCII characters")


@dataclass(frozen=True, slots=True)
class Once:
    """A request with its key, or without one (then every time is the first time)."""

    request: KeyedRequest | None

    def run(
        self, session: WriteSession, now: datetime, act: Callable[[], Answer], *, status: int = 200
    ) -> Response:
        """Act and answer, or repeat the answer that this key was given.

        Raises:
            IdempotencyConflictError: the key was used for another request.
        """
        if self.request is None:
            return answered(StoredAnswer(status, act().model_dump_json()))
        stored = begin(session, self.request, now)
        if stored is not None:
            return answered(stored, replayed=True)
        given = StoredAnswer(status, act().model_dump_json())
        keep(session, self.request, given)
        return answered(given)


async def once_of(request: Request) -> Once:
    """Return the key of a request with a JSON body, bound to that request's content."""
    key = key_of(request)
    if key is None:
        return Once(None)
    content = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    content.update(await request.body())
    return Once(KeyedRequest(caller_of(request).name, key, content.hexdigest()))


def key_of(request: Request) -> str | None:
    """Return the request's idempotency key, or None.

    Raises:
        InvalidIdempotencyKeyError: it is empty, too long, or not printable ASCII.
    """
    key = request.headers.get(HEADER)
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidIdempotencyKeyError
    return key


OncePerKey = Annotated[Once, Depends(once_of)]


def answered(given: StoredAnswer, *, replayed: bool = False) -> Response:
    """Return an answer as it is sent, the first time or again."""
    return Response(given.body, given.status, REPLAYED if replayed else None, "application/json")
