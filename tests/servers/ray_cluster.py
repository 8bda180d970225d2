"""A real Ray cluster of one node, from an environment of its own (`make ray`)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".ray"
START_SECONDS = 120.0


class RayCluster:
    """A head node with its dashboard; jobs find mlreg in the same environment."""

    def __init__(self, environment: Path = ENVIRONMENT, cpus: int = 2) -> None:
        self.python = environment / "bin" / "python"
        self.cpus = cpus
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets: short paths
        self.url = ""
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and return once its jobs' API answers."""
        port, dashboard = free_port(), free_port()
        self.url = f"http://127.0.0.1:{dashboard}"
        words = [
            *(self.python.with_name("ray"), "start", "--head", "--block", f"--port={port}"),
            *("--node-ip-address=127.0.0.1", "--include-dashboard=true"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
            *(f"--num-cpus={self.cpus}", "--object-store-memory=100000000"),
            *(f"--temp-dir={self.folder}", "--disable-usage-stats"),
        ]
        with (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                words, stdout=out, stderr=out, start_new_session=True, env=self._environ()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = (self.folder / "out").read_text()
                self.stop()
                raise RuntimeError(message)
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop it with all its processes, and remove its folder."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self._kill_rest()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_rest(self) -> None:
        """Kill what Ray left behind: everything that names this cluster's folder."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.folder).encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue

    def _environ(self) -> dict[str, str]:
        own = {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
        }
        return {**os.environ, **own}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/jobs/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False
