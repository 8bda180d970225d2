"""When a metric of a labelled window is unusual: by how much it has to be worse than usual.

What always holds: only what is worse is unusual, a better window is none; the differences are small
beside what a user would notice, for the scatter of the stream itself decides, five spreads of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.metrics import WATCHED_OF_TASK, greater_is_better
from mlreg.controller.domain.performance import SKILLED
from mlreg.controller.domain.season import Judgement

if TYPE_CHECKING:
    from mlreg.controller.domain.metrics import MetricName

POINTS = 0.01
"""Of what lies in 0 to 1: the smallest unusual fall."""
SHARE = 0.05
"""Of a loss: the smallest unusual rise, as a share of its usual value."""
BUSINESS = Judgement(least=0.0, relative=SHARE, both_sides=True)
"""Nobody has said which side of a business metric is the good one."""


def performance_rules(task: str) -> dict[str, Judgement]:
    """Return how the performance readings of a task are judged, by monitor."""
    rules: dict[str, Judgement] = {
        metric: _rule(metric) for metric in WATCHED_OF_TASK.get(task, ())
    }
    for metric in SKILLED.get(task, ()):
        greater = greater_is_better(metric)
        least, relative = (POINTS, 0.0) if greater else (0.0, SHARE)
        rules[f"skill_{metric}"] = Judgement(least=least, relative=relative, falling=True)
    return rules


def _rule(metric: MetricName) -> Judgement:
    if greater_is_better(metric):
        return Judgement(least=POINTS, falling=True)
    if metric == "bias":
        return Judgement(least=0.0, both_sides=True)
    least = POINTS if metric == "calibration_error" else 0.0
    return Judgement(least=least, relative=SHARE)
