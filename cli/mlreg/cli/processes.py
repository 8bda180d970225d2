"""What the kernel is asked about processes: dying with the parent, orphans, who runs where.

Linux only (prctl and /proc). What always holds: a process started with `bound_to_parent` gets its
signal when the thread that started it ends, however that happened; no process is ever signalled
that was not looked at in /proc just before.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_PROC = Path("/proc")


def bound_to_parent(with_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the kernel sends `with_signal` when the starting thread ends."""
    parent = os.getpid()

    def bind() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and here
            os._exit(1)

    return bind


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none gets away."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(known: Collection[int]) -> None:
    """Collect the exit of adopted children; those in `known` are left to their own `Popen`."""
    for pid in children():
        if pid not in known and state(pid) == "Z":
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def children() -> list[int]:
    """Return the process ids of this process's children, adopted ones included."""
    found: list[int] = []
    for task in (_PROC / "self" / "task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread ended meanwhile
            continue
    return found


def state(pid: int) -> str:
    """Return the kernel's letter for a process (R, S, D, T, Z …), or an empty text: no such."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def is_running(pid: int) -> bool:
    """Say whether a process is there and is more than a zombie."""
    return state(pid) not in {"", "Z", "X"}


def command_line(pid: int) -> list[str]:
    """Return a process's arguments (or the one title it gave itself); empty for a zombie."""
    try:
        text = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in text.rstrip(b"\0").split(b"\0") if part]


def process_ids() -> Iterator[int]:
    """Go through the ids of all processes that this user can see."""
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def send(pid: int, what: signal.Signals) -> None:
    """Send a signal; a process that has gone meanwhile is no error."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return
