"""Threads for what waits for the artifact store: a few of their own, never those of other routes.

What always holds: however slow the store is, it holds at most `THREADS` threads of an API process,
and at most `WAITING` more requests wait for one; who comes then is told to come again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from mlreg.registry.domain.errors import UnavailableError

THREADS = 16
WAITING = 64
P = ParamSpec("P")
R = TypeVar("R")


class StoreBusyError(UnavailableError):
    """Too many requests wait for the artifact store already."""

    code = "store_busy"
    hint = "Try again."

    def __init__(self) -> None:
        super().__init__("too many transfers wait for the artifact store")


class StoreThreads:
    """The threads of one API process; made inside its event loop."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call something that waits for the store.

        Raises:
            StoreBusyError: too many wait already.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        if self._limiter.statistics().tasks_waiting >= WAITING:
            raise StoreBusyError
        return await anyio.to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._limiter)

    async def iterate(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield pieces that the store gives."""
        while True:
            piece = await self.run(next, pieces, b"")
            if not piece:
                return
            yield piece
