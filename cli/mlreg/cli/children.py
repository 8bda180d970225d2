"""A child process of the supervisor: started, restarted with growing pauses, ended."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlreg.cli import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0
MAX_LOG_BYTES = 20_000_000


@dataclass
class Backoff:
    """How long to wait before the next start: doubles while starts fail, forgets after a while."""

    pause_seconds: float = 0.0
    not_before: float = 0.0
    started: float = 0.0

    def start(self, now: float) -> None:
        """Note a start."""
        self.started = now

    def end(self, now: float) -> None:
        """Note an end that nobody asked for."""
        steady = now - self.started >= STEADY_SECONDS
        grown = min(max(self.pause_seconds * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self.pause_seconds = FIRST_PAUSE_SECONDS if steady else grown
        self.not_before = now + self.pause_seconds


@dataclass
class Child:
    """One role's process.

    Attributes:
        name: as the user sees it: `api`, `control`, `worker`.
        command: the program and its arguments.
        environment: all of its environment.
        log: the file that takes what it prints.
        pass_fds: descriptors that it inherits.
        stop_seconds: how long it may take to end when asked.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    pass_fds: Sequence[int] = ()
    stop_seconds: float = 10.0
    backoff: Backoff = field(default_factory=Backoff)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C reaches the supervisor alone."""
        self.backoff.start(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                pass_fds=tuple(self.pass_fds),
                start_new_session=True,
                preexec_fn=processes.bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 - one prctl
            )

    def is_running(self) -> bool:
        """Say whether it lives."""
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def await_stop(self, deadline: float) -> None:
        """Wait for its end until `deadline` (monotonic), then kill it and all of its session."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            processes.send(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def last_line(self) -> str:
        """Return the last line that it printed."""
        return last_line(self.log)


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything, or an empty text."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4096))
            lines = [line for line in stream.read().decode(errors="replace").splitlines() if line]
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""


def cut(log: Path) -> None:
    """Keep a log from growing for ever: beyond the limit it is copied aside and emptied."""
    try:
        if log.stat().st_size > MAX_LOG_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            with log.open("r+b") as stream:
                stream.truncate(0)
    except OSError:
        return  # a full disk shows up elsewhere, with a clear word
