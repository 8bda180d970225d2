"""A trial: challenger, champion and anchor scored on the same labelled rows, ready for gates.

What always holds: every comparison of a trial uses the same rows, the same blocks and the same
draws; rows without a label are left out for all; scores and labels are finite (what is not is named
in `problem`, and then nothing may be concluded).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bootstrap import (
    Blocks,
    Difference,
    Times,
    day_or_hour_blocks,
    draw_blocks,
    paired_interval,
)
from mlreg.controller.domain.metrics import (
    OF_TASK,
    BlockMetric,
    Floats,
    MetricName,
    Rows,
    greater_is_better,
    measure,
)
from mlreg.registry.domain.errors import InvalidError, RefusedError

Role = Literal["challenger", "champion", "anchor", "prior"]
TrialTask = Literal["binary", "regression"]
Mask = NDArray[np.bool_]

DRAWS = 1_000
CONFIDENCE = 0.95


class TrainedOnEvaluationError(RefusedError):
    """A model would be judged on rows that it was trained on."""

    code = "trained_on_evaluation"
    hint = "Choose an evaluation window that begins after the training windows of both models."

    def __init__(self, *, role: str, version: int | None, train_end: str, start: str) -> None:
        super().__init__(
            f"the {role} (version {version}) was trained on rows up to {train_end},"
            f" and the evaluation begins at {start}"
        )


class MetricNotOfTaskError(InvalidError):
    """A gate names a metric that the model's task has not."""

    code = "metric_not_of_task"

    def __init__(self, *, metric: str, task: str) -> None:
        known = ", ".join(OF_TASK[task])
        super().__init__(f"a {task} model has no {metric}; it has {known}")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A version and its scores of all rows of the trial.

    Attributes:
        version: None for a model that is not registered yet.
        train_end: the end (exclusive) of the rows that it was trained on, if known.
    """

    version: int | None
    scores: Floats
    train_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The challenger beside another on the same rows.

    Attributes:
        challenger: its metric; None where undefined.
        other: the other's metric; None where undefined.
        gain: how much better the challenger is (positive: better, whatever the metric); None where
            undefined: too few blocks with rows, or draws of one class only.
    """

    challenger: float | None
    other: float | None
    gain: Difference | None


@dataclass(frozen=True, slots=True)
class SliceColumn:
    """A column to cut rows by: the code of each row (-1: missing) and what the codes stand for."""

    codes: NDArray[np.integer]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgingInput:
    """What is to be judged, on which rows.

    Attributes:
        times: UTC datetime64 of each row's prediction.
        labels: NaN where no label came.
        weights: None: every row counts once.
        slices: the columns that a gate may cut by.
        prior: the constant that knows nothing but the challenger's training labels (their mean);
            None: the mean label of these very rows, which no model could know: harder to beat.
        context: copied into the evidence as it is (snapshot digest, windows, seeds ...).
    """

    task: TrialTask
    times: Times
    labels: Floats
    challenger: Contestant
    champion: Contestant | None = None
    anchor: Contestant | None = None
    weights: Floats | None = None
    slices: Mapping[str, SliceColumn] = field(default_factory=dict)
    prior: float | None = None
    context: Mapping[str, object] = field(default_factory=dict)

    @property
    def contestants(self) -> dict[Role, Contestant]:
        """The models that take part, by role."""
        found: dict[Role, Contestant | None] = {
            "challenger": self.challenger,
            "champion": self.champion,
            "anchor": self.anchor,
        }
        return {role: one for role, one in found.items() if one is not None}


class Trial:
    """Rows, blocks, draws and scores; gates ask it for metrics and intervals."""

    def __init__(self, given: JudgingInput, rng: np.random.Generator, *, draws: int) -> None:
        check_not_trained_on(given)
        labelled = ~np.isnan(given.labels)
        self.task = given.task
        self.unlabelled = int(len(labelled) - labelled.sum())
        self.times = given.times[labelled]
        self.blocks: Blocks = day_or_hour_blocks(self.times)
        weights = np.ones(len(labelled)) if given.weights is None else given.weights
        self.rows = Rows(
            given.labels[labelled], weights[labelled], self.blocks.index, self.blocks.count
        )
        self.counts = draw_blocks(self.blocks.count, draws, rng)
        self.scores: dict[Role, Floats] = {
            role: one.scores[labelled] for role, one in given.contestants.items()
        }
        self.versions = {role: one.version for role, one in given.contestants.items()}
        self.slices = {
            name: SliceColumn(column.codes[labelled], column.values)
            for name, column in given.slices.items()
        }
        self.prior: float | None = None
        self.problem = self._find_problem()
        if self.problem is None:
            self.prior = given.prior
            if self.prior is None:
                self.prior = float(np.average(self.rows.labels, weights=self.rows.weights))
            self.scores["prior"] = np.full(len(self.rows), self.prior)
        self._measured: dict[tuple[Role, MetricName], BlockMetric] = {}

    def measured(self, role: Role, metric: MetricName, mask: Mask | None = None) -> BlockMetric:
        """Return a metric of a model by block, on all rows or on those of a mask.

        Raises:
            MetricNotOfTaskError: the task has no such metric.
        """
        if metric not in OF_TASK[self.task]:
            raise MetricNotOfTaskError(metric=metric, task=self.task)
        if mask is not None:
            return measure(metric, self.rows.where(mask), self.scores[role][mask])
        key = (role, metric)
        if key not in self._measured:
            self._measured[key] = measure(metric, self.rows, self.scores[role])
        return self._measured[key]

    def value(self, role: Role, metric: MetricName) -> float | None:
        """Return the metric of a model on all rows, or None where it is undefined."""
        return _on_all(self.measured(role, metric), self.blocks.count)

    def compare(
        self,
        over: Role,
        metric: MetricName,
        *,
        mask: Mask | None = None,
        confidence: float = CONFIDENCE,
    ) -> Comparison:
        """Compare the challenger with another, on all rows or on those of a mask."""
        mine, theirs = (self.measured(role, metric, mask) for role in ("challenger", over))
        better, worse = (mine, theirs) if greater_is_better(metric) else (theirs, mine)
        blocks = self.blocks.count if mask is None else self.blocks_with_rows(mask)
        gain = None
        if blocks >= self.blocks.minimum:
            gain = paired_interval(better, worse, self.counts, blocks=blocks, confidence=confidence)
        every = self.blocks.count
        return Comparison(_on_all(mine, every), _on_all(theirs, every), gain)

    def blocks_with_rows(self, mask: Mask) -> int:
        """Return how many blocks have rows of the mask."""
        return len(np.unique(self.rows.blocks[mask]))

    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Return every metric of the task for every model on the same rows."""
        return {
            role: {metric: self.value(role, metric) for metric in OF_TASK[self.task]}
            for role in self.scores
        }

    def _find_problem(self) -> str | None:
        """Say why nothing can be concluded from these rows, or None."""
        return self._problem_of_rows() or self._problem_of_scores() or self._problem_of_blocks()

    def _problem_of_rows(self) -> str | None:
        labels, weights = self.rows.labels, self.rows.weights
        if not np.isfinite(labels).all() or not np.isfinite(weights).all():
            return "a label or a weight is not finite"
        if not len(labels) or not weights.sum() > 0:
            return "there are no labelled rows"
        if self.task != "binary":
            return None
        if not np.isin(labels, (0.0, 1.0)).all():
            return "a label is neither 0 nor 1"
        return "the rows have one class only" if len(np.unique(labels)) == 1 else None

    def _problem_of_scores(self) -> str | None:
        unusable = [role for role, scores in self.scores.items() if not self._is_usable(scores)]
        return (
            f"scores of the {unusable[0]} are not finite, or no probabilities" if unusable else None
        )

    def _problem_of_blocks(self) -> str | None:
        unit, count, needed = self.blocks.unit, self.blocks.count, self.blocks.minimum
        if self.blocks.is_enough:
            return None
        return f"there are rows in {count} {unit}s only, {needed} are needed"

    def _is_usable(self, scores: Floats) -> bool:
        if not np.isfinite(scores).all():
            return False
        return self.task != "binary" or bool(((scores >= 0) & (scores <= 1)).all())


def check_not_trained_on(given: JudgingInput) -> None:
    """Check that no model was trained on rows of the trial.

    Raises:
        TrainedOnEvaluationError: one was.
    """
    if not len(given.times):
        return
    start = given.times.min()
    for role, one in given.contestants.items():
        if one.train_end is None:
            continue
        end = np.datetime64(one.train_end.replace(tzinfo=None), "us")
        if end > start:
            raise TrainedOnEvaluationError(
                role=role, version=one.version, train_end=str(end), start=str(start)
            )


def _on_all(measured: BlockMetric, blocks: int) -> float | None:
    value = float(measured.values(np.ones((1, blocks)))[0])
    return value if np.isfinite(value) else None
