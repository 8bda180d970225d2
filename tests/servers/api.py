"""A real API server in this process: uvicorn in a thread, on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn

from mlreg.client.client import Client
from mlreg.registry.api.app import create_api
from mlreg.registry.services.access import ensure_admin_token
from mlreg.registry.store.clock import SystemClock


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
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token or self.token, timeout_seconds=20)
