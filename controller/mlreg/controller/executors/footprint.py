"""What a process and all that it started take together: processor time and memory.

The kernel's own limits are of one process each; a program that forks has them as often as it forks.
What always holds: a process that ends while it is looked at is no error, and counts as nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tree of processes takes.

    Attributes:
        cpu_seconds: user and system time of those that live, and of their children that ended.
        memory_bytes: resident memory that is no file's, pages that they share counted once.
    """

    cpu_seconds: float
    memory_bytes: int


def footprint_of(pid: int, suspicious_bytes: int) -> Footprint:
    """Return what a process and its descendants take.

    Args:
        pid: the first of them.
        suspicious_bytes: only a sum beyond it is worth to count shared pages once, which is slow.
    """
    tree = _tree_of(pid)
    cpu_seconds = sum(map(_cpu_seconds, tree))
    memory_bytes = sum(_resident_bytes(one) for one in tree)
    if memory_bytes > suspicious_bytes and len(tree) > 1:
        memory_bytes = sum(_proportional_bytes(one) for one in tree)
    return Footprint(cpu_seconds, memory_bytes)


def _tree_of(pid: int) -> list[int]:
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        with suppress(OSError):
            for thread in (_PROC / str(one) / "task").iterdir():
                with suppress(OSError):
                    left.extend(map(int, (thread / "children").read_text().split()))
    return found


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, cutime, cstime: proc(5)
    return 0.0


def _resident_bytes(pid: int) -> int:
    return _kibibytes(_PROC / str(pid) / "status", ("RssAnon:", "RssShmem:")) * 1024


def _proportional_bytes(pid: int) -> int:
    return _kibibytes(_PROC / str(pid) / "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) * 1024


def _kibibytes(file: Path, names: tuple[str, ...]) -> int:
    with suppress(OSError):
        lines = (line.split() for line in file.read_text().splitlines())
        return sum(int(line[1]) for line in lines if line[0] in names)
    return 0
