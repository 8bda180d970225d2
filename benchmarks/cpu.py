"""Where the time of a write goes: the CPU of the API, of PostgreSQL and of the load generator.

On a machine that others use too, rates say little and these milliseconds say most: together they
bound the rate, which is cores / sum.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.running import RunningMlreg


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
