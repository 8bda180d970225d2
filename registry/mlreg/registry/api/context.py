"""What a route may ask for: sessions, business time, the caller, the artifact store.

`Reading` and `Writing` open sessions; the route does `with writing() as session:` itself, so the
commit happens before the answer is made, in the route's own thread. (A `yield` dependency would
hold a connection while it waits for a thread, and forty such requests would starve each other.)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from mlreg.registry.api.parts import ApiParts
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import UnauthenticatedError
from mlreg.registry.store.clock import DatabaseClock, SystemClock
from mlreg.registry.store.database import ReadSession, WriteSession


async def parts_of(request: Request) -> ApiParts:
    """Return the parts of this API."""
    return cast("ApiParts", request.app.state.parts)


Parts = Annotated[ApiParts, Depends(parts_of)]


async def _reading(parts: Parts) -> Callable[[], AbstractContextManager[ReadSession]]:
    return parts.database.reading


async def _writing(parts: Parts) -> Callable[[], AbstractContextManager[WriteSession]]:
    return parts.database.writing


async def _store(parts: Parts) -> ArtifactStore:
    return parts.store


async def now_of(parts: Parts) -> datetime:
    """Return business time."""
    if isinstance(parts.clock, SystemClock):
        return parts.clock.now()
    return await run_in_threadpool(parts.clock.now)


async def shared_now_of(parts: Parts) -> datetime:
    """Return business time as the controllers have it: real time is the database's.

    For moments that they act by. This machine's clock may be wrong by an hour: a schedule would be
    found to have been due before its policy was applied, a call would wait.
    """
    if isinstance(parts.clock, SystemClock):
        return await run_in_threadpool(DatabaseClock(parts.database).now)
    return await now_of(parts)


async def _caller(request: Request) -> Actor:
    return caller_of(request)


def caller_of(request: Request) -> Actor:
    """Return who calls, as the gate found out.

    Raises:
        UnauthenticatedError: nobody did (the path is public).
    """
    actor = request.scope.get("state", {}).get("caller")
    if not isinstance(actor, Actor):
        raise UnauthenticatedError
    return actor


Reading = Annotated[Callable[[], AbstractContextManager[ReadSession]], Depends(_reading)]
Writing = Annotated[Callable[[], AbstractContextManager[WriteSession]], Depends(_writing)]
Store = Annotated[ArtifactStore, Depends(_store)]
Now = Annotated[datetime, Depends(now_of)]
SharedNow = Annotated[datetime, Depends(shared_now_of)]
Caller = Annotated[Actor, Depends(_caller)]
