"""The fork server: one small process with the heavy libraries imported, which forks children.

Importing LightGBM, pyarrow and numpy takes most of a second, a fork some milliseconds. This is not
`multiprocessing.forkserver`, which kills no process groups and does not see its user die.

What always holds: it runs one thread, so a fork is safe; a child is killed with its whole process
group at its end, at its deadline, when all of it takes more than it may, when asked to, and when
the task's socket closes; when the control socket closes (the worker is gone, however it went) all
are killed and the server ends.

Messages are packets of JSON on `SOCK_SEQPACKET` sockets: a request on the control socket, with the
task's socket and the output pipe as file descriptors; one answer on the task's socket.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlreg.controller.executors.child import be_child
from mlreg.controller.executors.footprint import footprint_of
from mlreg.controller.orphans import adopt_orphans

MAX_REQUEST_BYTES = 64 * 1024
LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Running:
    pid: int
    task: socket.socket
    started: float
    deadline: float
    cpu_seconds: float
    memory_bytes: int
    killed_because: str | None = None


class ForkServer:
    """Forks, watches and buries children; one thread, driven by `serve`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, wake_writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._selector.register(control, selectors.EVENT_READ, self._take_request)
        self._selector.register(self._wake, selectors.EVENT_READ, self._bury)
        self._open = True
        self._next_look = 0.0

    def serve(self) -> None:
        """Work until the control socket closes; then kill what is left."""
        while self._open:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._enforce_deadlines()
            self._enforce_limits()
        self._kill_everything()

    def _kill_everything(self) -> None:
        """Kill children, then those we inherit from them, until none is left."""
        for child in self._children.values():
            _kill_group(child.pid)
        with suppress(ChildProcessError):
            while True:
                _kill_orphans(set())
                os.wait()

    def _patience(self) -> float | None:
        deadlines = [c.deadline for c in self._children.values() if c.killed_because is None]
        if not deadlines:
            return None
        return max(0.0, min([*deadlines, self._next_look]) - time.monotonic())

    def _take_request(self) -> None:
        packet, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 2)
        if not packet:
            self._open = False
            return
        task, output = socket.socket(fileno=descriptors[0]), descriptors[1]
        try:
            self._fork(json.loads(packet), task, output)
        finally:
            os.close(output)

    def _fork(self, request: dict[str, Any], task: socket.socket, output: int) -> None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            be_child(request, output, server)
        started = time.monotonic()
        child = _Running(
            pid=pid,
            task=task,
            started=started,
            deadline=started + float(request["wall_seconds"]),
            cpu_seconds=float(request["cpu_seconds"]),
            memory_bytes=int(request["address_space_bytes"]),
        )
        self._children[pid] = child
        task.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._selector.register(task, selectors.EVENT_READ, lambda: self._halt(child))

    def _halt(self, child: _Running) -> None:
        """Kill a child whose task socket spoke or closed: either means the worker gave it up."""
        self._selector.unregister(child.task)
        child.killed_because = child.killed_because or "halted"
        _kill_group(child.pid)

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.killed_because is None and child.deadline <= now:
                child.killed_because = "wall_time"
                _kill_group(child.pid)

    def _enforce_limits(self) -> None:
        """Kill who takes too much with all that it started; of one process the kernel sees that."""
        if time.monotonic() < self._next_look:
            return
        for child in self._children.values():
            if child.killed_because is not None:
                continue
            found = footprint_of(child.pid, child.memory_bytes)
            if found.memory_bytes > child.memory_bytes:
                child.killed_because = "memory"
            elif found.cpu_seconds > child.cpu_seconds:
                child.killed_because = "cpu_time"
            if child.killed_because is not None:
                _kill_group(child.pid)
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _bury(self) -> None:
        """Reap every dead child; its group is killed while its id still belongs to it."""
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        options = os.WEXITED | os.WNOHANG
        with suppress(ChildProcessError):
            while (dead := os.waitid(os.P_ALL, 0, options | os.WNOWAIT)) is not None:
                _kill_group(dead.si_pid)
                _, status, usage = os.wait4(dead.si_pid, 0)
                child = self._children.pop(dead.si_pid, None)
                if child is not None:
                    self._answer(child, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
        _kill_orphans(set(self._children))

    def _answer(self, child: _Running, status: int, cpu_seconds: float, peak_kib: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        because = child.killed_because
        if because is None and code == -signal.SIGXCPU:
            because = "cpu_time"
        answer = {
            "exit_code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "seconds": time.monotonic() - child.started,
            "cpu_seconds": cpu_seconds,
            "peak_bytes": peak_kib * 1024,
            "killed_because": because,
        }
        with suppress(OSError):  # the worker may be gone
            child.task.send(json.dumps(answer).encode())
        with suppress(KeyError):
            self._selector.unregister(child.task)
        child.task.close()


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):  # it may not have had the time to lead a group
        os.kill(pid, signal.SIGKILL)


def _kill_orphans(known: set[int]) -> None:
    """Kill adopted descendants: their own parent, a child of ours or below it, is dead."""
    with suppress(OSError):
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for pid in map(int, listed):
            if pid not in known:
                _kill_group(pid)


def main(arguments: list[str]) -> None:
    """Import the named modules, then serve the control socket (a file descriptor number)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(arguments[0]))
    for module in arguments[1:]:
        importlib.import_module(module)
    adopt_orphans()
    gc.collect()
    gc.freeze()  # keeps the imported objects' pages shared with the children
    gc.disable()
    ForkServer(control).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
