"""How well a model did on the labelled rows of one window, and its skill over knowing nothing.

What always holds: the prior is the best constant on the very same rows, so skill moves with the
model and not with the season; what is undefined (no rows, one class) is None; an interval comes
from blocks of time, and there is none where they are too few.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mlreg.controller.domain.bootstrap import Times, draw_blocks
from mlreg.controller.domain.confidence import DRAWS, interval_of, window_blocks
from mlreg.controller.domain.metrics import (
    USUAL,
    WATCHED_OF_TASK,
    BlockMetric,
    Booleans,
    Floats,
    Integers,
    MetricName,
    Options,
    Rows,
    bounds_of,
    greater_is_better,
    measure,
)
from mlreg.controller.domain.metrics.priors import constant_scores, prior_of

SKILLED: dict[str, tuple[MetricName, ...]] = {
    "binary": ("auc", "log_loss", "brier"),
    "multiclass": ("log_loss", "brier"),
    "regression": ("rmse", "mae"),
    "ranking": ("ndcg", "map", "mrr"),
}
"""The metrics that a constant has a fair value of, which skill is measured against."""


@dataclass(frozen=True, slots=True)
class Performance:
    """One metric of one window.

    Attributes:
        value: the metric itself.
        prior: the metric of the best constant on the same rows, where the metric has skill.
        interval: of 95 %; None where there are too few blocks of time.
        skill_interval: that of the skill, on draws of the same blocks.
    """

    metric: MetricName
    value: float | None
    prior: float | None = None
    interval: tuple[float, float] | None = None
    skill_interval: tuple[float, float] | None = None

    @property
    def skill(self) -> float | None:
        """The gain over the prior in units of the metric; None where it is undefined."""
        if self.value is None or self.prior is None:
            return None
        gain = self.value - self.prior
        return gain if greater_is_better(self.metric) else -gain


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """Rows of one window, those without a label among them.

    Attributes:
        labels: NaN where there is none.
        scores: NaN where there is none; of a multiclass model one column per class.
        times: of the predictions.
        groups: of a ranking, the group of each row; below 0: none.
        known: which rows count.
    """

    labels: Floats
    scores: Floats
    weights: Floats
    times: Times
    groups: Integers | None = None
    known: Booleans = field(init=False)

    def __post_init__(self) -> None:
        one = self.scores if self.scores.ndim == 1 else self.scores.sum(axis=1)
        object.__setattr__(self, "known", np.isfinite(self.labels) & np.isfinite(one))

    def where(self, mask: Booleans) -> LabelledWindow:
        """Return some of the rows."""
        groups = None if self.groups is None else self.groups[mask]
        return LabelledWindow(
            self.labels[mask], self.scores[mask], self.weights[mask], self.times[mask], groups
        )


def measure_window(
    task: str, window: LabelledWindow, rng: np.random.Generator, options: Options = USUAL
) -> list[Performance]:
    """Return every metric of the task on the rows that have both a label and a score."""
    metrics = WATCHED_OF_TASK.get(task, ())
    window = window.where(window.known)
    if not len(window.labels) or not window.weights.sum() > 0 or not _fits(task, window.scores):
        return [Performance(metric, None) for metric in metrics]
    blocks, count = window_blocks(window.times)
    rows = Rows(window.labels, window.weights, blocks, count, window.groups)
    counts = draw_blocks(count, DRAWS, rng)
    classes = window.scores.shape[1] if window.scores.ndim > 1 else 1
    prior = constant_scores(prior_of(task, rows, classes), len(rows))
    return [
        _performance(task, metric, (rows, window.scores, prior), counts, options)
        for metric in metrics
    ]


def _performance(
    task: str,
    metric: MetricName,
    given: tuple[Rows, Floats, Floats],
    counts: Floats,
    options: Options,
) -> Performance:
    rows, scores, prior = given
    measured = measure(metric, rows, scores, options)
    interval = interval_of(measured, counts, bounds_of(metric))
    if metric not in SKILLED.get(task, ()):
        return Performance(metric, _on_all(measured, counts), interval=interval)
    known = measure(metric, rows, prior, options)
    gain = _Gain(measured, known) if greater_is_better(metric) else _Gain(known, measured)
    return Performance(
        metric,
        _on_all(measured, counts),
        _on_all(known, counts),
        interval,
        interval_of(gain, counts, (-np.inf, np.inf)),
    )


@dataclass(frozen=True, slots=True)
class _Gain:
    """How much better one is than the other, on the same draws."""

    better: BlockMetric
    worse: BlockMetric

    def values(self, counts: Floats) -> Floats:
        """Return the difference of each draw."""
        return self.better.values(counts) - self.worse.values(counts)


def _fits(task: str, scores: Floats) -> bool:
    """Say whether there is a probability for each class, where the task has several."""
    return (scores.ndim > 1) == (task == "multiclass")


def _on_all(measured: BlockMetric, counts: Floats) -> float | None:
    value = float(measured.values(np.ones((1, counts.shape[1])))[0])
    return value if np.isfinite(value) else None
