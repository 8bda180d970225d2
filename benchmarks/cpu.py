"""Where the time of a write goes: the CPU of the API, of PostgreSQL and of the load generator.

On a machine that others use too, rates say little and these milliseconds say most: together they
bound the rate, which is cores / sum.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.running import RunningMlreg

REST_SECONDS = 120.0
IDLE_SHARE = 0.1


@contextmanager
def counted(
    mlreg: RunningMlreg, name: str, found: dict[str, float], seconds: Sequence[float]
) -> Iterator[None]:
    """Add to `found` the CPU milliseconds per request of what is done inside.

    Args:
        mlreg: the server.
        name: what the numbers are called after.
        found: the numbers.
        seconds: one item per request, all there at the end.
    """
    before = _seconds(mlreg)
    yield
    for part, after in _seconds(mlreg).items():
        found[f"{name}_{part}_cpu_ms"] = (after - before[part]) / max(1, len(seconds)) * 1e3


def await_rest(mlreg: RunningMlreg) -> None:
    """Wait until the controller and the worker have started too, a second of whose time is idle.

    They begin when the API serves, and take a core each for their imports.
    """
    deadline, before = time.monotonic() + REST_SECONDS, _of_roles(mlreg)
    while time.monotonic() < deadline:
        time.sleep(1.0)
        after = _of_roles(mlreg)
        if after - before < IDLE_SHARE:
            return
        before = after
    raise TimeoutError(f"controller and worker are still busy after {REST_SECONDS} s")


def _of_roles(mlreg: RunningMlreg) -> float:
    pids = mlreg.pids()
    return sum(_of_tree(psutil.Process(pids[role])) for role in ("control", "worker"))


def _seconds(mlreg: RunningMlreg) -> dict[str, float]:
    pids = mlreg.pids()
    return {
        "api": _of_tree(psutil.Process(pids["api"])),
        "postgres": _of_tree(psutil.Process(pids["postgres"])),
        "generator": sum(psutil.Process().cpu_times()[:2]),
    }


def _of_tree(process: psutil.Process) -> float:
    """Return the seconds of a process, of its children, and of those that have ended.

    A child that ends while it is looked at has its seconds counted by its parent, next time.
    """
    try:
        return sum(process.cpu_times()[:4]) + sum(map(_of_tree, process.children()))
    except psutil.NoSuchProcess:
        return 0.0
