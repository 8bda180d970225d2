"""A real `mlreg up` on a folder of its own: all of its processes, as a user starts them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from mlreg.client.client import Client

START_SECONDS = 150.0
STOP_SECONDS = 60.0
VIRTUAL_START = "2013-01-01T00:00:00"


class RunningMlreg:
    """One `mlreg up`; start it, use `url`, `token`, `client()` and `cli(...)`, stop it.

    Args:
        data: the data folder; a temporary one by default, removed at the end.
        virtual_start: the first moment of a virtual clock, ISO 8601 in UTC; None is real time.
        environ: variables beyond the test's own.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        virtual_start: str | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self._made = None if data else Path(tempfile.mkdtemp(prefix="mlreg-up-"))
        self.data = data or self._made / "data"
        self.config = self.data.with_name(self.data.name + "-config")
        self._virtual_start = virtual_start
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLREG_")},
            "MLREG_CONFIG_DIR": str(self.config),
            "MLREG_CACHE_DIR": str(self.config / "cache"),
            "MLREG_UNSAFE_NO_SYNC": "1",
            **(environ or {}),
        }
        self.output = self.data.with_name(self.data.name + ".out")
        self.process: subprocess.Popen | None = None
        self.url = ""

    def start(self) -> None:
        """Start it and return once it says that it serves."""
        words = [sys.executable, "-m", "mlreg.cli", "up", f"--data={self.data}", "--port=0"]
        if self._virtual_start:
            words += ["--virtual-clock", f"--virtual-start={self._virtual_start}"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                words, env=self.environ, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._served():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = f"mlreg up: {self.output.read_text()}"  # before its folder goes
                self.stop()
                raise RuntimeError(message)
            time.sleep(0.02)
        self.url = self._served()

    def _served(self) -> str:
        for line in self.output.read_text().splitlines():
            if line.startswith("next:") and self.url:
                return self.url
            if line.startswith("mlreg serves "):
                self.url = line.split()[2]
        return ""

    @property
    def token(self) -> str:
        """The admin token."""
        return (self.data / "admin-token").read_text().strip()

    def client(self) -> Client:
        """Return a client with the admin token."""
        return Client(self.url, self.token)

    def cli(
        self, *words: str, check: bool = True, environ: dict[str, str] | None = None, **options
    ) -> subprocess.CompletedProcess:
        """Run `mlreg …` against it, as its user, or with another environment."""
        return subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *words],
            env={**(environ or self.environ), "MLREG_URL": self.url},
            capture_output=True,
            text=True,
            check=check,
            **options,
        )

    def log(self, name: str) -> str:
        """Return what a role printed: `api`, `control`, `worker`."""
        return (self.data / "logs" / f"{name}.log").read_text()

    def pids(self) -> dict[str, int]:
        """Return the process ids of the roles and of `postgres`."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:  # it ended since, or is about to be waited for
                continue
            if words and words[0].endswith("/postgres"):
                found["postgres"] = child.pid
            elif "mlreg.cli" in words:
                found[{"serve": "api", "work": "worker"}.get(words[3], words[3])] = child.pid
        return found

    def stop(self) -> int:
        """End it as Ctrl-C does and return its exit code."""
        code = 0
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            code = self.process.wait(timeout=STOP_SECONDS)
            self.process = None
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)
        return code
