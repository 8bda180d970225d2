"""Readings as rules see them: one value of one monitor for one window.

What always holds: only a reading whose state is `final` counts; `immature` waits for labels (its
value, if it has one, is corrected for their delay), `estimate` is made before labels, `outage`
stands in hours whose feed was down, `empty` had no rows. A trigger or a guard that sees too few
final readings holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

ReadingState = Literal["final", "immature", "estimate", "outage", "empty"]
Verdict = Literal["normal", "unusual"]
EVERYTHING = ""
"""The subject of a reading that is about the whole window, not about one feature."""
_START_AND_SUBJECT = attrgetter("start", "subject")


class WindowReading(NamedTuple):
    """One value of one monitor for one window.

    A named tuple: a tick makes hundreds of thousands, and a frozen dataclass takes five times as
    long to make.

    Attributes:
        monitor: what was measured, e.g. `psi`, `null_share`, `skill_auc`.
        subject: the feature it is about, or `EVERYTHING`.
        value: None where the state is `outage` or `empty`, and mostly where it is `immature`.
        rows: how many logged (or labelled) rows the value rests on.
        low, high: a confidence interval of 95 %; None where there is none.
        verdict: against the history of this stream; None where nobody judged.
        evidence: what the value rests on, and what it was before; small.
    """

    monitor: str
    subject: str
    start: datetime
    end: datetime
    value: float | None
    rows: int
    state: ReadingState = "final"
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None
    evidence: Mapping[str, Any] | None = None

    def as_evidence(self) -> dict[str, object]:
        """Return the reading as it is stored on a firing."""
        return {
            "monitor": self.monitor,
            "subject": self.subject,
            "start": _written(self.start),
            "end": _written(self.end),
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "state": self.state,
        }

    def as_row(self) -> dict[str, object]:
        """Return the reading as the store keeps it."""
        evidence = None if self.evidence is None else dict(self.evidence)
        return {**self.as_evidence(), "verdict": self.verdict, "evidence": evidence}


@lru_cache(maxsize=4_096)
def _written(moment: datetime) -> str:
    """Return a border of a window in ISO 8601; all readings of a tick have the same few."""
    return moment.isoformat()


@dataclass(frozen=True, slots=True)
class Pooled:
    """Readings of one monitor taken together, weighted by their rows."""

    value: float
    rows: int
    readings: tuple[WindowReading, ...]


def usable(readings: Iterable[WindowReading]) -> tuple[WindowReading, ...]:
    """Return the final readings with a finite value, oldest first."""
    final = [
        one
        for one in readings
        if one.state == "final" and one.value is not None and isfinite(one.value)
    ]
    final.sort(key=_START_AND_SUBJECT)
    return tuple(final)


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
