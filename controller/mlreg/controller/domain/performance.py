"""How well a model did on the labelled rows of one window, and its skill over knowing nothing.

What always holds: the prior is the best constant on the very same rows, so skill moves with the
model and not with the season; what is undefined (no rows, one class) is None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlreg.controller.domain.metrics import (
    OF_TASK,
    Floats,
    MetricName,
    Rows,
    greater_is_better,
    measure,
)


@dataclass(frozen=True, slots=True)
class Performance:
    """One metric of one window.

    Attributes:
        value: the metric itself.
        prior: the metric of the best constant on the same rows.
        skill: how much better the model is than the prior; positive is better.
    """

    metric: MetricName
    value: float | None
    prior: float | None

    @property
    def skill(self) -> float | None:
        """The gain over the prior in units of the metric; None where it is undefined."""
        if self.value is None or self.prior is None:
            return None
        gain = self.value - self.prior
        return gain if greater_is_better(self.metric) else -gain


def measure_window(task: str, labels: Floats, scores: Floats, weights: Floats) -> list[Performance]:
    """Return every metric of the task on the rows that have both a label and a score."""
    known = np.isfinite(labels) & np.isfinite(scores)
    rows = Rows(labels[known], weights[known], np.zeros(int(known.sum()), dtype=np.intp), 1)
    if not len(rows) or not rows.weights.sum() > 0:
        return [Performance(metric, None, None) for metric in OF_TASK.get(task, ())]
    constant = float(np.average(rows.labels, weights=rows.weights))
    prior = np.full(len(rows), constant)
    return [
        Performance(metric, _value(metric, rows, scores[known]), _value(metric, rows, prior))
        for metric in OF_TASK.get(task, ())
    ]


def _value(metric: MetricName, rows: Rows, scores: Floats) -> float | None:
    value = float(measure(metric, rows, scores).values(np.ones((1, 1)))[0])
    return value if np.isfinite(value) else None
