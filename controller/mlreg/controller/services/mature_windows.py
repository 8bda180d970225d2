"""Windows that are mature, and by which key their measuring is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.windows import Interval, closed_windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlreg.controller.domain.data_rule import DataRule
    from mlreg.controller.domain.memory import PolicyMemory

    Place = tuple[int, str]
    """A model's id and an environment."""

KIND = "measure"


def measure_key(place: Place, window: Interval) -> str:
    """Return what is the same in all jobs that measure a window."""
    return f"{KIND}:{place[0]}:{place[1]}:{window.start.isoformat()}"


def mature_windows(memory: PolicyMemory, data: DataRule, now: datetime) -> Iterator[Interval]:
    """Yield the windows after the border of maturity that are mature by now, oldest first."""
    return closed_windows(memory.matured_until, now - data.label_delay, data.window)
