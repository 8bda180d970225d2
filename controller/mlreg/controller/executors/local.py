"""The local executor: children of a fork server on this machine.

What always holds: the fork server starts with an environment of allowed names only, so no secret
of the worker reaches a child; output beyond the bound is read and dropped, so a child never blocks
on it and never fills us; a fork server that died is replaced at the next task.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from mlreg.controller.executors.executor import ChildResult, ExecutorLostError
from mlreg.controller.executors.output import LineCollector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlreg.controller.executors.executor import ChildTask, Executor

PRELOAD = ("numpy", "pyarrow.parquet", "lightgbm")
ALLOWED_NAMES = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
)
ALLOWED_PREFIXES = ("LC_", "PYTHON", "OMP_")
_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # LightGBM's threads spin while they wait: on busy cores a training took 60 s instead of 3.
    "OMP_WAIT_POLICY": "PASSIVE",
}
_LOOK_SECONDS = 0.1
_LAST_WORDS_SECONDS = 1.0
_STOP_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024
_SERVER = "mlreg.controller.executors.forkserver"


def allowed_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a child may see of an environment: no name of ours, no secret of anyone.

    Two libraries would start threads when they are imported; a fork is safe without any.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in ALLOWED_NAMES or name.startswith(ALLOWED_PREFIXES)
    }
    return {**kept, **_NO_THREADS}


class LocalExecutor:
    """Runs tasks in forks of one preloaded server, which starts with the first task."""

    def __init__(self, environment: Mapping[str, str], preload: Sequence[str] = PRELOAD) -> None:
        self._environment = allowed_environment(environment)
        self._preload = tuple(preload)
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def run(self, task: ChildTask, halt: threading.Event) -> ChildResult:
        """Run a task to its end; once `halt` is set its whole process group is killed.

        Raises:
            ExecutorLostError: the fork server died; the child is gone too.
        """
        with self._start(task) as attendance:
            return attendance.follow(halt)

    def close(self) -> None:
        """Close the control socket, at which the server kills its children and ends."""
        with self._lock:
            self._stop_server()

    @contextmanager
    def _start(self, task: ChildTask) -> Iterator[_Attendance]:
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, their_output = os.pipe()
        try:
            try:
                self._send(_request(task), [theirs.fileno(), their_output])
            finally:
                theirs.close()
                os.close(their_output)
            yield _Attendance(task, answers, output)
        finally:
            answers.close()  # if the child still runs, this is what kills it
            os.close(output)

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._running_server(), [request], descriptors)
            except OSError as error:
                self._stop_server()
                raise ExecutorLostError from error

    def _running_server(self) -> socket.socket:
        if self._server is None or self._server.poll() is not None or self._control is None:
            self._stop_server()
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(  # noqa: S603 - our own module, no shell
                    [sys.executable, "-m", _SERVER, str(theirs.fileno()), *self._preload],
                    pass_fds=[theirs.fileno()],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is the worker's to answer
                )
        return self._control

    def _stop_server(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            try:
                self._server.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._control = self._server = None


class _Attendance:
    """The worker's side of one child: reads its output and waits for the word of its end."""

    def __init__(self, task: ChildTask, answers: socket.socket, output: int) -> None:
        self._task = task
        self._answers = answers
        self._output = output
        self._collector = LineCollector(task.limits.output_bytes)
        self._selector = selectors.DefaultSelector()
        self._selector.register(answers, selectors.EVENT_READ)
        self._selector.register(output, selectors.EVENT_READ)

    def follow(self, halt: threading.Event) -> ChildResult:
        with self._selector:
            answer = self._await_answer(halt)
            self._hear_last_words()
        self._task.on_lines(self._collector.finish())
        if not answer:
            raise ExecutorLostError
        result = ChildResult(**json.loads(answer))
        if result.killed_because == "halted" and not halt.is_set():
            return replace(result, killed_because="output")
        return result

    def _is_wild(self) -> bool:
        limits = self._task.limits
        return self._collector.dropped + limits.output_bytes > limits.most_output_bytes

    def _await_answer(self, halt: threading.Event) -> bytes:
        asked = False
        while True:
            ready = [key.fileobj for key, _ in self._selector.select(_LOOK_SECONDS)]
            if self._output in ready:
                self._read()
            if self._answers in ready:
                return self._hear_answer()
            if not asked and (halt.is_set() or self._is_wild()):
                asked = True
                with suppress(OSError):
                    self._answers.send(b"halt")
            self._tell()

    def _hear_answer(self) -> bytes:
        with suppress(ConnectionResetError):  # the server closed before it read our "halt"
            return self._answers.recv(_CHUNK_BYTES)
        return self._answers.recv(_CHUNK_BYTES)

    def _hear_last_words(self) -> None:
        """Read what is left in the pipe; the group is dead, so its end is near."""
        self._selector.unregister(self._answers)
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while self._selector.get_map() and time.monotonic() < deadline:
            if self._selector.select(_LOOK_SECONDS):
                self._read()

    def _read(self) -> None:
        chunk = os.read(self._output, _CHUNK_BYTES)
        if not chunk:
            self._selector.unregister(self._output)
        self._collector.feed(chunk)

    def _tell(self) -> None:
        lines = self._collector.take()
        if lines:
            self._task.on_lines(lines)


def _request(task: ChildTask) -> bytes:
    document = {
        "entry": task.entry,
        "folder": str(task.folder.resolve()),
        "network": task.network,
        "writes": task.writes,
        **asdict(task.limits),
    }
    return json.dumps(document).encode()


_PROOF: type[Executor] = LocalExecutor
