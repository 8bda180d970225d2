"""What a block of code took: its seconds, and the most memory that it and its children held.

What always holds: time is monotonic; memory is the resident set of this process and of all its
descendants together, looked at ten times a second, and at least the peak that the kernel noted for
this process alone while the block ran (pages that forked children share count for each of them).
Where there is no /proc it is what the kernel noted since the process began.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

LOOK_SECONDS = 0.1
_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Footprint:
    """Measures from `start` to `stop`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mlreg-footprint", daemon=True)
        self._began = 0.0
        self._noted_before = 0

    def start(self) -> None:
        """Begin to measure."""
        self._began = time.monotonic()
        self._noted_before = _noted_peak()
        self.peak_bytes = _resident()
        self._thread.start()

    def stop(self) -> None:
        """End; `seconds` and `peak_bytes` are final. Stopping twice is fine."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.seconds = time.monotonic() - self._began
        self._thread.join()
        self._look()
        noted = _noted_peak()
        if noted > self._noted_before:  # it was reached inside of the block
            self.peak_bytes = max(self.peak_bytes, noted)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        self.peak_bytes = max(self.peak_bytes, _resident())


def _resident() -> int:
    """Return the bytes that this process and its descendants hold now."""
    if not (_PROC / "self" / "statm").exists():
        return _noted_peak()
    return sum(_resident_of(number) for number in _family(os.getpid()))


def _resident_of(number: int) -> int:
    try:
        return int((_PROC / str(number) / "statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0  # it has ended


def _family(number: int) -> list[int]:
    """Return a process and all its descendants, as far as the kernel tells."""
    found, ahead = [], [number]
    while ahead:
        one = ahead.pop()
        found.append(one)
        try:
            for task in (_PROC / str(one) / "task").iterdir():
                ahead += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _noted_peak() -> int:
    """Return the peak that the kernel noted for this process since it began, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
