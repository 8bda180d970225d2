"""A real `mlreg serve` as a process of its own, which a failpoint may kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from mlreg.client.client import Client
from mlreg.client.errors import MlregError
from mlreg.registry.services.access import ensure_admin_token
from mlreg.registry.store.clock import SystemClock
from tests.servers.ports import free_port

START_SECONDS = 120


class Serving:
    """`mlreg serve` on a database and a store; start it, kill it, start it again."""

    def __init__(self, database, artifacts_url: str, *, token="", **environ: str) -> None:
        self.token = token or first_token(database)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLREG_")},
            "MLREG_DATABASE_URL": database.url.replace("+psycopg", ""),
            "MLREG_ARTIFACTS_URL": artifacts_url,
            "MLREG_PORT": str(self.port),
            **environ,
        }
        self.process: subprocess.Popen | None = None

    def start(self, failpoint: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlreg.cli", "serve"],
            env={**self.environ, "MLREG_FAILPOINT": failpoint},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with self.client() as client:
                try:
                    client.models.list(limit=1)
                except MlregError as error:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        self.stop()  # no later test is to find it
                        raise RuntimeError("mlreg serve ended, or gives no answer") from error
                    time.sleep(0.05)
                else:
                    return

    def client(self) -> Client:
        return Client(self.url, self.token, timeout_seconds=20)

    def await_end(self) -> int:
        """Wait until the process was killed, and return its code."""
        return self.process.wait(timeout=START_SECONDS)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def first_token(database) -> str:
    """Return the admin token of a new database."""
    with database.writing() as session:
        return ensure_admin_token(session, SystemClock().now())
