"""A real MLflow server, from its own package in an environment of its own (`make mlflow`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".mlflow"
START_SECONDS = 90.0
MODELS = Path(__file__).with_name("mlflow_models.py")


class MlflowServer:
    """One MLflow server on a folder of its own; `fill()` gives it a model with four versions."""

    def __init__(self, environment: Path = ENVIRONMENT) -> None:
        self.python = environment / "bin" / "python"
        self.folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
        self.url = ""
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and return once it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        words = [
            *(self.python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--serve-artifacts"),
            *("--artifacts-destination", self.folder / "artifacts", "--workers", "1"),
        ]
        with (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                words, stdout=out, stderr=out, start_new_session=True, env=_environ()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = (self.folder / "out").read_text()
                self.stop()
                raise RuntimeError(message)
            time.sleep(0.2)

    def fill(self) -> dict[str, dict[str, str]]:
        """Register a model `churn`; return the files of each version as MLflow stored them."""
        done = subprocess.run(
            [self.python, MODELS, self.url],
            check=False,
            capture_output=True,
            text=True,
            env=_environ(),
            timeout=300,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def stop(self) -> None:
        """Stop it with all its workers, and remove its folder."""
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def _environ() -> dict[str, str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    return {**os.environ, **quiet}
