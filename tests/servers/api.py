"""A real API server in this process: uvicorn in a thread, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

import uvicorn

from mlreg.client.client import Client
from mlreg.registry.api.app import create_api
from mlreg.registry.services.access import ensure_admin_token
from mlreg.registry.store.clock import SystemClock

MOST_LOOKS = 2


class PromptServer(uvicorn.Server):
    """uvicorn's server, told when to end: by itself it looks each tenth of a second, twice."""

    async def startup(self, sockets=None) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # renews the date of its answers
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1.0)

    async def shutdown(self, sockets=None) -> None:
        for listening in [*self.servers, *(sockets or [])]:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - sets of uvicorn's
            await asyncio.sleep(0.005)
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()

    def end(self) -> None:
        """End once what is asked is answered; from another thread, and as often as one likes."""
        self.should_exit = True
        with suppress(RuntimeError):  # it has ended, and its loop with it
            self._loop.call_soon_threadsafe(self._ending.set)


class RunningApi:
    """An API over `parts` (or that app over them), and the admin token to it."""

    def __init__(self, parts, app=None) -> None:
        self.parts = parts
        self.app = app or create_api(parts)
        with parts.database.writing() as session:
            self.token = ensure_admin_token(session, SystemClock().now())
        # the protocol is named, or asyncio sets no TCP_NODELAY, and each answer waits for 40 ms
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self.app, log_level="error", loop="asyncio", lifespan="on", proxy_headers=False
        )
        self._server = PromptServer(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)

    def stop(self) -> None:
        self._server.end()
        self._thread.join()
        self._socket.close()

    def await_known(self, is_known) -> None:
        """Wait until a change by another process is known here.

        That is at the second look from now on, as one may be under way; they are a second apart at
        most, and how long a busy machine takes for them is no matter.
        """
        looks, caches = 0, self.app.state.caches
        began = time.monotonic()
        while not is_known():
            assert looks < MOST_LOOKS, "two looks later it is not known"
            if caches.age_seconds() < time.monotonic() - began:
                looks, began = looks + 1, time.monotonic()
            time.sleep(0.01)

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token or self.token, timeout_seconds=20)
