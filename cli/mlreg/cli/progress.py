"""One line on stderr that says how far a transfer is; drawn anew, at most ten times a second."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

WIDTH = 24
PAUSE_SECONDS = 0.1
MEGA = 1e6


@dataclass
class Bar:
    """How far something is; without a total it shows what was done so far, or only the time.

    Attributes:
        total: of the same unit as what `advance` is told: bytes, where it is more than a million.
    """

    description: str
    total: float | None = None
    done: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _drawn: float = 0.0

    def advance(self, amount: float) -> None:
        """Add to what is done."""
        self.done += amount
        if time.monotonic() - self._drawn >= PAUSE_SECONDS:
            self._drawn = time.monotonic()
            sys.stderr.write(f"\r\033[K{self.line()}")
            sys.stderr.flush()

    def line(self) -> str:
        """Return the line as it is now, at most 80 columns for a short description."""
        seconds = max(time.monotonic() - self._began, 1e-3)
        if not self.total:
            return f"{self.description}  {seconds:.0f} s"
        share = min(self.done / self.total, 1.0)
        full = round(share * WIDTH)
        rate = f"  {self.done / MEGA / seconds:,.0f} MB/s" if self.total > MEGA else ""
        return f"{self.description}  [{'#' * full}{' ' * (WIDTH - full)}] {share:4.0%}{rate}"

    def end(self) -> None:
        """Take the line away."""
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
