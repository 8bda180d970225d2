"""What a dead server leaves behind: lock files, a socket, orphaned backends, a zombie.

PostgreSQL trusts its lock files (of the folder and of the socket) as long as *some* process has the
number in them: a zombie that nobody reaps, or a stranger that was given the number later, keeps it
from starting for ever. So /proc is asked instead. Processes are recognised by their command line
alone, which needs no right to look into other users' processes: the postmaster names the folder,
every backend the cluster.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from mlreg.cli import processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET_FILES = (".s.PGSQL.5432.lock", ".s.PGSQL.5432")
_PATIENCE_SECONDS = {signal.SIGINT: 10.0, signal.SIGQUIT: 3.0, signal.SIGKILL: 5.0}


def clear_leftovers(cluster: Path, socket_folder: Path, cluster_name: str) -> None:
    """End every process of the folder's former server and remove its lock files.

    To be called only by the one holder of the data folder's lock: then whatever still runs in it
    is an orphan.
    """
    for step, seconds in _PATIENCE_SECONDS.items():
        remaining = list(_processes_of(cluster, cluster_name))
        if not remaining:
            break
        for pid in remaining:
            processes.send(pid, step)
        _await_end(remaining, seconds)
    (cluster / "postmaster.pid").unlink(missing_ok=True)
    for name in SOCKET_FILES:
        (socket_folder / name).unlink(missing_ok=True)


def _processes_of(cluster: Path, cluster_name: str) -> Iterator[int]:
    for pid in processes.process_ids():
        words = processes.command_line(pid)
        if words and (_is_postmaster(words, cluster) or _is_backend(words, cluster_name)):
            yield pid


def _is_postmaster(words: list[str], cluster: Path) -> bool:
    return words[0].endswith("/postgres") and words[1:3] == ["-D", str(cluster)]


def _is_backend(words: list[str], cluster_name: str) -> bool:
    return words[0].startswith(f"postgres: {cluster_name}: ")


def _await_end(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(processes.is_running, pids)):
        time.sleep(0.02)
