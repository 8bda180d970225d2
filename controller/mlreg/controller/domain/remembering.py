"""The registry as memory: which older versions are looked at before a retrain is paid for.

What always holds: the rows on which an older version is found do not judge it: the older half of
the evaluation window looks for it, the newer half judges, so the best of many is not judged by its
luck. Only what does better than the champion is judged at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mlreg.controller.domain.metrics import MetricName, greater_is_better
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.windows import HOUR, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAIN: Mapping[str, MetricName] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "rmse",
    "ranking": "ndcg",
}


class MemoryRule(PolicyPart):
    """How many older versions are looked at, and by which metric (the task's main one)."""

    versions: int = Field(default=10, ge=1, le=100)
    metric: MetricName | None = None

    def metric_for(self, task: str) -> MetricName:
        """Return the metric by which versions of a task are looked for."""
        return self.metric or MAIN[task]


def halves(window: Interval) -> tuple[Interval, Interval] | None:
    """Return what looks and what judges, cut at a whole hour; None where there is no room."""
    middle = window.start + window.length // 2 // HOUR * HOUR
    if middle <= window.start:
        return None
    return Interval(window.start, middle), Interval(middle, window.end)


def spread_versions(numbers: Sequence[int], most: int) -> list[int]:
    """Return at most so many versions, newest first: evenly from all times, the newest among them.

    The last ten of a year of weekly champions are one season; ten of all of them are the year.
    """
    ordered = sorted(set(numbers), reverse=True)
    if len(ordered) <= most:
        return ordered
    step = (len(ordered) - 1) / max(most - 1, 1)
    return [ordered[round(place * step)] for place in range(most)]


def best_of(
    values: Mapping[int, float | None], champion: int | None, metric: MetricName
) -> int | None:
    """Return the version that does best, None where none does better than the champion.

    Of equals the newest; a metric that is not defined on these rows (None) is no success.
    """
    sign = 1.0 if greater_is_better(metric) else -1.0
    known = {number: sign * value for number, value in values.items() if value is not None}
    bar = None if champion is None else known.pop(champion, None)
    if not known or (champion is not None and bar is None):
        return None
    best = max(known, key=lambda number: (known[number], number))
    return best if bar is None or known[best] > bar else None
