"""What dead workers and ended backtests left on a machine: each worker that lives there removes it.

It is no chore of the house, of which one worker does each turn: the folders are of one machine.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlreg.controller.services import backtest_kept, work_folder

if TYPE_CHECKING:
    from pathlib import Path

EVERY_SECONDS = 3_600.0


class Leftovers:
    """Removes them each hour; a worker removes them as it begins, too."""

    def __init__(self, parent: Path, every_seconds: float = EVERY_SECONDS) -> None:
        self._parent = parent
        self._every_seconds = every_seconds
        self._swept_at = float("-inf")

    def sweep(self) -> None:
        """Remove them if it is time; it costs two listings of a folder then."""
        now_seconds = time.monotonic()
        if now_seconds - self._swept_at < self._every_seconds:
            return
        self._swept_at = now_seconds
        work_folder.sweep(self._parent)
        backtest_kept.sweep(self._parent)
