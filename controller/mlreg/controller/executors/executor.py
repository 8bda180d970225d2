"""The executor's protocol: a task for a child process, its limits, and how it ended.

What always holds: `run` returns only when nothing of the child is left.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mlreg.client.signal_names import name_of_signal
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    import threading

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
LOCAL = "local"
ERROR_FILE = "error.json"
"""Where a child says which exception ended it: `{"code": ..., "message": ...}`."""
OUT_OF_MEMORY = "out_of_memory"
FILE_TOO_LARGE = "file_too_large"

KilledBecause = Literal["halted", "wall_time", "cpu_time", "memory", "output"]


class ExecutorLostError(UnavailableError):
    """The process that starts children is gone, and the child with it."""

    code = "executor_lost"

    def __init__(self) -> None:
        super().__init__("the executor died while the child ran; the child was killed with it")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may take; beyond it the child is killed, or its call fails.

    `address_space_bytes` counts reserved memory of each process, of which the preloaded libraries
    alone take about one GiB; all processes together may hold as much at once. `cpu_seconds` are of
    all of them together, too. Of its output `output_bytes` are kept; what prints more than
    `most_output_bytes` has gone wild, and is killed.
    """

    wall_seconds: float = 3600.0
    cpu_seconds: int = 7200
    address_space_bytes: int = 8 * GIBIBYTE
    file_bytes: int = 4 * GIBIBYTE
    output_bytes: int = 1 * MEBIBYTE
    most_output_bytes: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Resources:
    """What a cluster sets aside for a task; the local executor sets nothing aside.

    Attributes:
        workers: how many processes of the same kind train one model together.
    """

    cpus: float = 1.0
    memory_bytes: int = 2 * GIBIBYTE
    gpus: int = 0
    workers: int = 1


def ignore_lines(lines: Sequence[str]) -> None:
    """Hear what a child printed, and do nothing."""
    del lines


@dataclass(frozen=True, slots=True)
class ChildTask:
    """One call of a function in a child process.

    Attributes:
        entry: `module:function`, called with the folder as its only argument.
        folder: the child's working folder; it exists and belongs to this task alone.
        limits: what the child may take.
        on_lines: called in the thread of `run` with what the child printed, a few times a second.
        network: whether the child may use it.
        executor: which one is to run it.
        resources: what a cluster sets aside for it.
        writes: the folders beside its own that it may write in.
    """

    entry: str
    folder: Path
    limits: Limits = field(default_factory=Limits)
    on_lines: Callable[[Sequence[str]], None] = ignore_lines
    network: bool = False
    executor: str = LOCAL
    resources: Resources = field(default_factory=Resources)
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How a child ended.

    Attributes:
        exit_code: None when a signal ended it.
        signal: None when it ended by itself.
        seconds: wall time from fork to end.
        cpu_seconds: user and system time together.
        peak_bytes: the largest resident memory, shared libraries included.
        killed_because: the rule of ours that ended it, if one did.
    """

    exit_code: int | None
    signal: int | None
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    killed_because: KilledBecause | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the function returned."""
        return self.exit_code == 0 and self.killed_because is None


class Executor(Protocol):
    """Runs functions in child processes of its own.

    Promises: see the page of this room.
    """

    def run(self, task: ChildTask, halt: threading.Event) -> ChildResult:
        """Run a task to its end; once `halt` is set its whole process group is killed.

        Raises:
            ExecutorLostError: the executor itself died; the child is gone too.
        """
        ...

    def close(self) -> None:
        """Kill what still runs and give back every resource; safe to call twice."""
        ...


def failure_line(task: ChildTask, result: ChildResult) -> str:
    """Say in one line why a task did not succeed."""
    if result.killed_because is not None:
        return _killed_line(task.limits, result.killed_because)
    if result.signal is not None:
        return _signal_line(result.signal)
    told = _told(task).get("message")
    return f"the child ended with exit code {result.exit_code}" if told is None else str(told)


def is_over_limit(task: ChildTask, result: ChildResult) -> bool:
    """Whether a limit ended a task: it would again, so another attempt is worth nothing."""
    return result.killed_because is not None or (
        result.signal is None and _told(task).get("code") in {OUT_OF_MEMORY, FILE_TOO_LARGE}
    )


def _told(task: ChildTask) -> Mapping[str, object]:
    """Return what the child said of its end; nothing where it could not."""
    try:
        told = json.loads((task.folder / ERROR_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _signal_line(number: int) -> str:
    line = f"the child was ended by {name_of_signal(number)}"
    return f"{line} (perhaps the system was out of memory)" if number == signal.SIGKILL else line


def _killed_line(limits: Limits, because: KilledBecause) -> str:
    match because:
        case "wall_time":
            return f"the child was killed after its wall time of {limits.wall_seconds:g} seconds"
        case "cpu_time":
            return f"the child was killed after its CPU time of {limits.cpu_seconds} seconds"
        case "memory":
            most = limits.address_space_bytes // MEBIBYTE
            return (
                f"the child was killed: with all that it started it held more than {most:,} MiB"
                " of memory"
            )
        case "output":
            most = limits.most_output_bytes
            return f"the child was killed after it had printed more than {most:,} bytes"
        case "halted":
            return "the child was killed because the run was halted"
