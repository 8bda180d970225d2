"""Readings as rules see them: one value of one monitor for one window.

What always holds: only a reading whose state is `final` counts; `immature` waits for labels,
`outage` stands in hours whose feed was down, `empty` had no rows. A trigger or a guard that sees
too few final readings holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ReadingState = Literal["final", "immature", "outage", "empty"]
EVERYTHING = ""
"""The subject of a reading that is about the whole window, not about one feature."""


@dataclass(frozen=True, slots=True)
class WindowReading:
    """One value of one monitor for one window.

    Attributes:
        monitor: what was measured, e.g. `psi`, `null_share`, `skill_auc`.
        subject: the feature it is about, or `EVERYTHING`.
        value: None unless the state is `final`.
        rows: how many logged (or labelled) rows the value rests on.
    """

    monitor: str
    subject: str
    start: datetime
    end: datetime
    value: float | None
    rows: int
    state: ReadingState = "final"

    def as_evidence(self) -> dict[str, object]:
        """Return the reading as it is stored on a firing."""
        return {
            "monitor": self.monitor,
            "subject": self.subject,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "value": self.value,
            "rows": self.rows,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class Pooled:
    """Readings of one monitor taken together, weighted by their rows."""

    value: float
    rows: int
    readings: tuple[WindowReading, ...]


def usable(readings: Iterable[WindowReading]) -> tuple[WindowReading, ...]:
    """Return the final readings, oldest first."""
    return tuple(
        sorted(
            (one for one in readings if one.state == "final" and one.value is not None),
            key=lambda one: (one.start, one.subject),
        )
    )


def pool(readings: Iterable[WindowReading], *, min_rows: int) -> Pooled | None:
    """Take readings, in the order given, until they rest on `min_rows`; None when they never do."""
    taken: list[WindowReading] = []
    rows = 0
    for reading in readings:
        taken.append(reading)
        rows += reading.rows
        if rows >= min_rows:
            return Pooled(_mean(taken, rows), rows, tuple(taken))
    return None


def _mean(readings: Sequence[WindowReading], rows: int) -> float:
    if rows == 0:
        return 0.0
    return sum((reading.value or 0.0) * reading.rows for reading in readings) / rows
