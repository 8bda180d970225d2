"""A whole backtest over a history in memory: every policy, the frontier, the freshness curve.

What always holds: everything but the seconds follows from the rows, the plan and its seed; all
policies begin with the same first model and are measured on the same labelled rows; when the time
is up, what was replayed by then is told, and that it is not all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.backtest import Course, Terms, TooLittleHistoryError, Wanted
from mlreg.controller.domain.backtest_answer import answer
from mlreg.controller.domain.backtest_freshness import AGES, WeekLosses, freshness
from mlreg.controller.domain.backtest_frontier import DRAWS, blocks_of, pareto, stand
from mlreg.controller.domain.backtest_grid import NEVER, Candidate
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.bootstrap import draw_blocks
from mlreg.controller.domain.metrics import (
    BlockMetric,
    MetricName,
    Rows,
    greater_is_better,
    measure,
    row_losses,
)
from mlreg.controller.domain.metrics.classes import class_log_losses
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.windows import WEEK, Interval, closed_windows, window_of
from mlreg.controller.services.backtest_world import ReplayedWorld
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.controller.domain.backtest import Made
    from mlreg.controller.domain.backtest_freshness import Aged
    from mlreg.controller.domain.backtest_frontier import Standing, TimeBlocks
    from mlreg.controller.domain.metrics import Floats
    from mlreg.controller.services.backtest_history import History

LEAST_WINDOWS = 2
FIRST_SHARE = 3
"""A first model takes at most this part of the history, so that something is left to replay."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed.

    Attributes:
        base: the policy that the candidates vary; it trains the first model.
        candidates: `never` is among them.
        metric: what they are compared by.
        seconds: after so many no further policy is begun.
        workers: how many are replayed at a time.
    """

    base: Policy
    candidates: Sequence[Candidate]
    metric: MetricName
    terms: Terms = field(default_factory=Terms)
    price: float = 0.0
    seed: int = 0
    seconds: float = 600.0
    workers: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A policy that was replayed, and its metric by block."""

    candidate: Candidate
    course: Course
    measured: BlockMetric
    seconds: float


def replay_all(
    history: History, plan: Plan, folder: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Replay every candidate; return what was found, as JSON.

    Raises:
        TooLittleHistoryError: no rows, no labels, or too few windows.
        NotReplayableError: a trigger looks at what rows do not tell.
    """
    return _Backtest(history, plan, folder, tell).run()


class _Backtest:
    def __init__(
        self, history: History, plan: Plan, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self._history, self._plan, self._tell = history, plan, tell
        self._deadline = time.monotonic() + plan.seconds
        self._began = time.monotonic()
        data = plan.base.data
        self._span = span_of(history, plan.base)
        self._world = ReplayedWorld(history, folder, plan.base.monitors, plan.terms.outages)
        self._windows = list(closed_windows(self._span.start, self._span.end, data.window))
        part = history.part(Interval(self._windows[0].start, self._windows[-1].end))
        self._places = np.flatnonzero(history.labelled[part]) + part.start
        if not len(self._places):
            raise TooLittleHistoryError(cause="no row after the first model has a label")
        self._blocks: TimeBlocks = blocks_of(history.times[self._places])
        self._done = 0

    def run(self) -> dict[str, Any]:
        first = self._first_model()
        with ThreadPoolExecutor(self._plan.workers) as pool:
            tried = pool.map(lambda one: self._replay(one, first), self._plan.candidates)
            replayed = [one for one in tried if one is not None]
        self._check_defined(replayed)
        aged = self._freshness()
        rng = np.random.default_rng(self._plan.seed)
        counts = draw_blocks(self._blocks.count, DRAWS, rng)
        standings = stand(
            self._plan.metric,
            {one.candidate.name: one.measured for one in replayed},
            NEVER,
            counts,
        )
        return self._report(replayed, standings, aged)

    def _check_defined(self, replayed: Sequence[Replayed]) -> None:
        once = np.ones((1, self._blocks.count))
        for one in replayed:
            if not np.isfinite(one.measured.values(once)[0]):
                cause = f"{self._plan.metric} is not defined on the {len(self._places):,} rows"
                raise TooLittleHistoryError(cause=f"{cause} that {one.candidate.name!r} scored")

    def _first_model(self) -> Made:
        wanted = Wanted(self._span.start, "full", self._plan.base, None)
        try:
            return self._world.train(wanted)
        except RegistryError as error:
            cause = f"the first model cannot be trained ({error})"
            raise TooLittleHistoryError(cause=cause) from error

    def _replay(self, candidate: Candidate, first: Made) -> Replayed | None:
        if time.monotonic() > self._deadline and candidate.name != NEVER:
            return None
        span = (self._span, self._plan.base.data.window)
        course = replay(candidate.policy, self._world, first, span, self._plan.terms)
        measured = self._measure(course)
        self._done += 1
        self._tell(f"{self._done} of {len(self._plan.candidates)} policies: {candidate.name}")
        return Replayed(candidate, course, measured, sum(one.seconds for one in course.runs))

    def _measure(self, course: Course) -> BlockMetric:
        """Return the metric of whichever model was live, over the whole span."""
        parts: list[Floats] = []
        pairs = list(zip(course.served, course.windows, strict=True))
        for made, served in groupby(pairs, key=lambda pair: pair[0]):
            windows = [window for _, window in served]
            rows = self._history.part(Interval(windows[0].start, windows[-1].end))
            known = self._history.labelled[rows]
            if known.any():
                parts.append(self._world.models.scores(made, rows)[known])
        return measure(self._plan.metric, self._rows(), np.concatenate(parts))

    def _rows(self) -> Rows:
        history, places = self._history, self._places
        return Rows(
            labels=history.labels[places],
            weights=history.weights_at(places),
            blocks=self._blocks.index,
            block_count=self._blocks.count,
        )

    def _freshness(self) -> list[Aged]:
        """Train week by week in full, and hold the old ones against the new, if there is time."""
        starts = list(closed_windows(self._span.start, self._span.end, WEEK))
        models: list[Made | None] = []
        weeks: list[WeekLosses] = []
        for number, week in enumerate(starts):
            if time.monotonic() > self._deadline:
                break
            models.append(self._try(Wanted(week.start, "full", self._plan.base, None)))
            weeks.append(self._losses(week, models, number))
        return freshness(weeks, np.random.default_rng(self._plan.seed))

    def _try(self, wanted: Wanted) -> Made | None:
        try:
            return self._world.train(wanted)
        except RegistryError:
            return None

    def _losses(self, week: Interval, models: Sequence[Made | None], number: int) -> WeekLosses:
        rows = self._history.part(week)
        known = self._history.labelled[rows]
        weights = self._history.weights_at(rows)[known]
        found: dict[int, float] = {}
        for age in (0, *AGES):
            made = models[number - age] if age <= number else None
            if made is not None and weights.sum() > 0:
                scores = self._world.models.scores(made, rows)[known]
                losses = self._row_losses(self._history.labels[rows][known], scores)
                found[age] = float(np.average(losses, weights=weights))
        return WeekLosses(float(weights.sum()), found)

    def _row_losses(self, labels: Floats, scores: Floats) -> Floats:
        if scores.ndim > 1:
            return class_log_losses(labels, scores)
        loss = "rmse" if self._history.target.task == "regression" else "log_loss"
        return row_losses(loss, labels, scores)

    def _report(
        self,
        replayed: Sequence[Replayed],
        standings: dict[str, Standing],
        aged: Sequence[Aged],
    ) -> dict[str, Any]:
        plan = self._plan
        sign = 1.0 if greater_is_better(plan.metric) else -1.0
        costs = {one.candidate.name: float(one.seconds) for one in replayed}
        front = pareto(
            {name: (sign * one.value.estimate, costs[name]) for name, one in standings.items()}
        )
        return {
            **self._span_told(),
            "policies": [
                self._row(one, standings[one.candidate.name], one.candidate.name in front)
                for one in replayed
            ],
            "left_out": [one.name for one in plan.candidates if one.name not in standings],
            "freshness": [one.to_json() for one in aged],
            "answer": answer(plan.metric, standings, costs, aged),
            "trained": self._world.models.trained,
            "asked": self._world.models.asked,
            "seconds": round(time.monotonic() - self._began, 3),
        }

    def _span_told(self) -> dict[str, Any]:
        """Return what was replayed, and what was measured on which rows."""
        return {
            "format": 1,
            "metric": self._plan.metric,
            "start": self._windows[0].start.isoformat(),
            "end": self._windows[-1].end.isoformat(),
            "windows": len(self._windows),
            "rows": len(self._places),
            "blocks": {"count": self._blocks.count, "days": self._blocks.days},
            "gates": self._plan.terms.gates,
        }

    def _row(self, one: Replayed, standing: Standing, on_front: bool) -> dict[str, Any]:  # noqa: FBT001
        runs = one.course.runs
        return {
            "name": one.candidate.name,
            "triggers": one.candidate.triggers,
            "lanes": one.candidate.lanes,
            "selection": one.candidate.selection,
            "anchor": one.candidate.is_anchor,
            "pareto": on_front,
            "value": standing.value.to_json(),
            "gain": standing.gain.to_json(),
            "behind": standing.behind.to_json(),
            "trainings": len(runs),
            "by_lane": dict(sorted(Counter(run.lane for run in runs).items())),
            "verdicts": dict(sorted(Counter(run.verdict for run in runs).items())),
            "held": dict(sorted(one.course.held.items())),
            "train_seconds": round(one.seconds, 3),
            "cost": round(one.seconds * self._plan.price, 6),
            "error": next((run.error for run in runs if run.error), ""),
        }


def span_of(history: History, base: Policy) -> Interval:
    """Return what is replayed: what lies behind the rows of a first model, in whole windows.

    Raises:
        TooLittleHistoryError: there are no rows, no labels, or too few windows.
    """
    if not len(history):
        raise TooLittleHistoryError(cause="there are no rows")
    if not history.labelled.any():
        raise TooLittleHistoryError(cause="no row has a label")
    data = base.data
    last = datetime.fromtimestamp(int(history.times[-1].astype(np.int64)) / 1e6, UTC)
    needed = data.train_window + data.evaluate_window + data.label_delay
    taken = min(needed, (last - history.first) / FIRST_SHARE)
    start = window_of(history.first + taken, data.window).end
    end = window_of(last + timedelta(microseconds=1), data.window).start
    if (end - start) // data.window < LEAST_WINDOWS:
        cause = f"the rows span {(last - history.first) / data.window:.1f} windows only"
        raise TooLittleHistoryError(cause=cause)
    return Interval(start, end)
