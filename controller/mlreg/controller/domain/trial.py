"""A trial: challenger, champion and anchor scored on the same labelled rows, ready for gates.

What always holds: every comparison of a trial uses the same rows, the same blocks and the same
draws; rows without a label are left out for all, and so are the groups of a ranking whose order
cannot be wrong; a group of a ranking lies in the block of its first row, and in a slice with all
its rows or not at all; scores and labels are sound (what is not is named in `problem`, and then
nothing may be concluded).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
from mlreg.controller.domain.judging_input import (
    JudgingInput,
    Role,
    SliceColumn,
    check_not_trained_on,
)
from mlreg.controller.domain.metrics import (
    OF_TASK,
    BlockMetric,
    Floats,
    Integers,
    MetricName,
    Options,
    Rows,
    greater_is_better,
    measure,
)
from mlreg.controller.domain.metrics.priors import Prior, constant_scores, prior_of
from mlreg.controller.domain.metrics.ranking import USUAL_PLACES, counted_rows, whole_groups
from mlreg.controller.domain.soundness import CLASSIFIED, problem_of_rows, problem_of_scores
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

Mask = NDArray[np.bool_]

LABEL = "label"
"""The slices that a gate cuts by it are the classes."""
DRAWS = 1_000
CONFIDENCE = 0.95


class MetricNotOfTaskError(InvalidError):
    """A gate names a metric that the model's task has not."""

    code = "metric_not_of_task"

    def __init__(self, *, metric: str, task: str) -> None:
        known = ", ".join(OF_TASK[task])
        super().__init__(f"a {task} model has no {metric}; it has {known}")


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


class Trial:
    """Rows, blocks, draws and scores; gates ask it for metrics and intervals."""

    def __init__(self, given: JudgingInput, rng: np.random.Generator, *, draws: int) -> None:
        check_not_trained_on(given)
        self.task, self.classes = given.task, given.classes
        labelled = ~np.isnan(given.labels)
        whole = _rows_of(given, labelled)
        unsound = problem_of_rows(self.task, whole, len(self.classes))
        kept = labelled.copy()
        if self.task == "ranking":
            kept[labelled] = counted_rows(whole)
        self.unlabelled = int(len(labelled) - labelled.sum())
        self.left_out = int(labelled.sum() - kept.sum())
        self.times = given.times[kept]
        self.rows = _rows_of(given, kept)
        self.blocks: Blocks = day_or_hour_blocks(_starts(self.times, self.rows.groups))
        self.rows = replace(self.rows, blocks=self.blocks.index, block_count=self.blocks.count)
        self.counts = draw_blocks(self.blocks.count, draws, rng)
        self.scores: dict[Role, Floats] = {
            role: one.scores[kept] for role, one in given.contestants.items()
        }
        self.versions = {role: one.version for role, one in given.contestants.items()}
        self.problem = unsound or self._problem_of_scores() or self._problem_of_blocks()
        self.prior: Prior | None = None
        self.slices = self._slices(given, kept)
        if self.problem is None:
            usual = prior_of(self.task, self.rows, len(self.classes))
            self.prior = usual if given.prior is None else given.prior
            self.scores["prior"] = constant_scores(self.prior, len(self.rows))
        self._measured: dict[tuple[Role, MetricName, int], BlockMetric] = {}

    def measured(
        self, role: Role, metric: MetricName, mask: Mask | None = None, at: int = USUAL_PLACES
    ) -> BlockMetric:
        """Return a metric of a model by block, on all rows or on those of a mask.

        Raises:
            MetricNotOfTaskError: the task has no such metric.
        """
        if metric not in OF_TASK[self.task]:
            raise MetricNotOfTaskError(metric=metric, task=self.task)
        options = Options(at=at)
        if mask is not None:
            return measure(metric, self.rows.where(mask), self.scores[role][mask], options)
        key = (role, metric, at)
        if key not in self._measured:
            self._measured[key] = measure(metric, self.rows, self.scores[role], options)
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
        at: int = USUAL_PLACES,
        confidence: float = CONFIDENCE,
    ) -> Comparison:
        """Compare the challenger with another, on all rows or on those of a mask.

        Args:
            over: the other.
            metric: by what.
            mask: a slice, as `cut` has it.
            at: how many places of a ranking count.
            confidence: of each bound alone.
        """
        roles: tuple[Role, Role] = ("challenger", over)
        mine, theirs = (self.measured(role, metric, mask, at) for role in roles)
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

    def cut(self, column: str) -> Iterator[tuple[str, Mask]]:
        """Yield the value and the mask of each slice of a column; missing values are no slice."""
        codes, values = self.slices[column].codes, self.slices[column].values
        for code in np.unique(codes[codes >= 0]):
            mask = codes == code
            groups = self.rows.groups
            yield values[code], mask if groups is None else whole_groups(mask, groups)

    def units(self, mask: Mask) -> int:
        """Return how many rows a mask has, or how many groups of a ranking."""
        groups = self.rows.groups
        counted = mask if groups is None else np.bincount(groups[mask]) > 0
        return int(counted.sum())

    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Return every metric of the task for every model on the same rows."""
        return {
            role: {metric: self.value(role, metric) for metric in OF_TASK[self.task]}
            for role in self.scores
        }

    def _slices(self, given: JudgingInput, kept: Mask) -> dict[str, SliceColumn]:
        found = {
            name: SliceColumn(column.codes[kept], column.values)
            for name, column in given.slices.items()
        }
        if self.problem is None and self.task in CLASSIFIED:
            codes = self.rows.labels.astype(np.intp)
            found[LABEL] = SliceColumn(codes, self.classes or ("0", "1"))
        return found

    def _problem_of_scores(self) -> str | None:
        for role, scores in self.scores.items():
            problem = problem_of_scores(self.task, scores, len(self.classes))
            if problem is not None:
                return f"scores of the {role} {problem}"
        return None

    def _problem_of_blocks(self) -> str | None:
        unit, count, needed = self.blocks.unit, self.blocks.count, self.blocks.minimum
        if self.blocks.is_enough:
            return None
        what = "groups" if self.task == "ranking" else "rows"
        return f"there are {what} in {count} {unit}s only, {needed} are needed"


def _rows_of(given: JudgingInput, mask: Mask) -> Rows:
    """Return some of the rows, in no blocks yet."""
    size = int(mask.sum())
    weights = np.ones(size) if given.weights is None else given.weights[mask]
    groups = given.groups[mask] if given.task == "ranking" and given.groups is not None else None
    return Rows(given.labels[mask], weights, np.zeros(size, dtype=np.intp), 1, groups)


def _starts(times: Times, groups: Integers | None) -> Times:
    """Return the time of each row, or of the first row of its group."""
    if groups is None or not len(times):
        return times
    places = np.unique(groups, return_inverse=True)[1]
    starts = np.full(int(places.max()) + 1, times.max())
    np.minimum.at(starts, places, times)
    found: Times = starts[places]
    return found


def _on_all(measured: BlockMetric, blocks: int) -> float | None:
    value = float(measured.values(np.ones((1, blocks)))[0])
    return value if np.isfinite(value) else None
