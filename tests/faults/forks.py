"""Running a piece of work in a forked process that a failpoint may kill."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable


class Fork:
    """Work that goes on in a fork of this process; what it imports is imported already."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Return the exit code or minus the signal; None while it lives."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        return self._waited(0)

    def _waited(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def run_forked(work: Callable[[], object], failpoint: str = "") -> tuple[int, object]:
    """Return (exit code or minus the signal, what the work returned, through JSON)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ["MLREG_FAILPOINT"] = failpoint
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(said) if said else None
