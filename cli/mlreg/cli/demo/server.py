"""The demo's own `mlreg up --virtual-clock`, in a folder of its own, and its end.

What always holds: no setting of this machine's other installations reaches it (every `MLREG_…`
variable is withheld); it keeps its credentials in its own folder; it ends with the demo, however
the demo ends, and its folder goes with it unless `--keep` was asked for or it never came up.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.cli import processes
from mlreg.cli.children import last_line
from mlreg.cli.demo.document import KeptServer
from mlreg.client.credentials import Credentials, find_credentials, save_credentials
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

START_SECONDS = 90.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.05


class DemoServerError(UnavailableError):
    """The demo's server does not come up."""

    code = "demo_server"

    def __init__(self, *, cause: str, log: Path) -> None:
        said = (cause or "it says nothing").rstrip(".")
        super().__init__(f"the demo's server does not start: {said} (its logs: {log.parent})")


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running server: how to reach it, where it keeps everything, and its process."""

    credentials: Credentials
    data: Path
    process: subprocess.Popen[bytes]

    def keep(self) -> KeptServer:
        """Log this user's command line in to it, and say how to end it."""
        save_credentials(self.credentials)
        url, data = self.credentials.url, str(self.data)
        return KeptServer(url=url, process=self.process.pid, data=data)


@contextmanager
def running_server(start: datetime, *, keep: bool) -> Iterator[DemoServer]:
    """Start a server whose clock stands at `start`; stop it and remove its folder afterwards.

    Args:
        start: the virtual clock's first moment.
        keep: leave server and folder behind, unless the demo fails.

    Raises:
        DemoServerError: it does not start.
    """
    data = Path(tempfile.mkdtemp(prefix="mlreg-demo-"))
    process = _start(data, start, keep=keep)
    stays, is_useful = False, True
    try:
        server = DemoServer(_await_credentials(data, process), data, process)
        is_useful = False  # from here on, the demo's own error says more than the server's logs
        yield server
        stays = is_useful = keep
    finally:
        if not stays:
            _stop(process)
        if not is_useful:
            shutil.rmtree(data, ignore_errors=True)


def _start(data: Path, start: datetime, *, keep: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlreg.cli", "up", f"--data={data}", "--port=0"]
    command += ["--virtual-clock", f"--virtual-start={start:%Y-%m-%dT%H:%M:%S}"]
    with _log_of(data).open("wb") as log:
        return subprocess.Popen(
            command,
            env=_environment(data),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=None if keep else processes.bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 - one prctl
        )


def _environment(data: Path) -> dict[str, str]:
    outside = os.environ  # noqa: TID251 - the edge
    kept = {name: value for name, value in outside.items() if not name.startswith("MLREG_")}
    return {**kept, **_own(data)}


def _own(data: Path) -> Mapping[str, str]:
    return {"MLREG_CONFIG_DIR": str(data / "config")}


def _await_credentials(data: Path, process: subprocess.Popen[bytes]) -> Credentials:
    """Wait for what `mlreg up` writes once it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = find_credentials(_own(data))
        if found is not None:
            return found
        time.sleep(LOOK_SECONDS)
    cause = last_line(_log_of(data)) if process.poll() is not None else "it is not ready in time"
    raise DemoServerError(cause=cause, log=_log_of(data))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # the kernel ends its children with it
        process.wait()


def _log_of(data: Path) -> Path:
    return data / "up.log"
