"""The world of a backtest: what policies are shown of a history, by the live controller's own code.

What always holds: a window is read from its profile against the champion's training rows, and once
it is mature from the labels that were known then; readings, references and profiles are shared by
all policies under which they are the same. Safe for several threads.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from mlreg.controller.domain.backtest import Contest, Found, Made, Mature, Wanted
from mlreg.controller.domain.batches import LABEL
from mlreg.controller.domain.bins import Bins, make_bins
from mlreg.controller.domain.drift import SIZES
from mlreg.controller.domain.judging import judge
from mlreg.controller.domain.judging_input import Contestant, JudgingInput, SliceColumn
from mlreg.controller.domain.labels import label_bins, label_profile
from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.domain.performance import LabelledWindow
from mlreg.controller.domain.profile import Profile, profile_rows
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.season import past_starts
from mlreg.controller.domain.snapshots import clipped
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.domain.windows import Interval
from mlreg.controller.monitors.labels import (
    DETECTORS,
    RULES,
    detect_changes,
    first_seen,
    read_labels,
    read_loss,
)
from mlreg.controller.monitors.monitor import History as PastWindows
from mlreg.controller.monitors.monitor import WindowView
from mlreg.controller.services.backtest_models import Models, specification_of
from mlreg.controller.services.judging import ONE_PRIOR, is_cut, slice_column, slice_columns
from mlreg.controller.services.label_drift import classes_of
from mlreg.controller.services.label_readings import Taken, awaited, label_readings
from mlreg.controller.services.labelled_rows import LabelledRows, RowShape
from mlreg.controller.services.window_readings import profile_readings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence
    from datetime import datetime
    from pathlib import Path

    from mlreg.controller.domain.readings import ReadingState
    from mlreg.controller.services.backtest_history import History

A = TypeVar("A")
MOST_LEFT_OUT = 0.1
"""Of a window's time that an outage may take; beyond it the window says nothing."""
CLOSED = ("rows", "null_share", "unseen_share", "default_share", *SIZES)
"""The monitors that are read of profiles of features. The score has none: it is each policy's own
models' one after the other, and its drift would have to be read anew for every policy."""


def monitors_of(task: str) -> tuple[Collection[str], Collection[str]]:
    """Return the monitors that can be read of a task; see `World`."""
    return CLOSED, (*awaited(task), *RULES, *DETECTORS)


class ReplayedWorld:
    """A `World` of rows in memory.

    Args:
        history: the rows.
        folder: an empty one, for models.
        rule: how labelled windows are measured.
        outages: when a feed was down; the rows of that time are not there.
    """

    def __init__(
        self,
        history: History,
        folder: Path,
        rule: MonitorRule | None = None,
        outages: Sequence[Interval] = (),
    ) -> None:
        self.history, self.models = history, Models(history, folder)
        self._rule, self._outages = rule or MonitorRule(), tuple(outages)
        self._shape = RowShape(history.target.task, max(1, len(history.target.classes)))
        self._bins: Bins | None = None
        self._known: dict[Hashable, object] = {}
        self._lock = threading.Lock()

    @property
    def monitors(self) -> tuple[Collection[str], Collection[str]]:
        """The monitors that can be read; see `World`."""
        return monitors_of(self._shape.task)

    def train(self, wanted: Wanted) -> Made:
        """Train a model, or return the one that was; see `World`."""
        made = self.models.train(wanted)
        with self._lock:
            if self._bins is None:
                places = self.models.get(made).places
                columns = {**self.history.columns(places), LABEL: self.history.labels[places]}
                self._bins = make_bins(columns, self.history.contract)
        return made

    def judge(self, contest: Contest) -> Found:
        """Judge a challenger on the evaluation window of its run; see `World`."""
        rows = self._judged_rows(contest)
        if rows is None:
            return Found("inconclusive")
        roles = {"challenger": contest.challenger, "champion": contest.champion}
        if contest.anchor is not None and contest.anchor.key != contest.champion.key:
            roles["anchor"] = contest.anchor
        models = {
            role: Contestant(None, self.models.scores(made, rows)) for role, made in roles.items()
        }
        policy, history = contest.wanted.policy, self.history
        known = history.known_by(rows, contest.wanted.at)
        given = JudgingInput(
            task=history.target.task,
            times=history.times[rows],
            labels=np.where(known, history.labels[rows], np.nan),
            challenger=models["challenger"],
            champion=models["champion"],
            anchor=models.get("anchor"),
            weights=None if history.weights is None else history.weights[rows],
            groups=None if history.groups is None else history.groups[rows],
            classes=history.target.classes if history.target.task == "multiclass" else (),
            slices=self._slices(slice_columns(policy.gates), rows),
            prior=self._prior(contest.challenger),
        )
        judgement = judge(given, policy.gates, np.random.default_rng(policy.retrain.seed))
        return Found(judgement.verdict, judgement.superior)

    def closed(self, champion: Made, window: Interval) -> Sequence[WindowReading]:
        """Read a window's profile against the champion's training rows; see `World`."""
        return self._once(("closed", champion.key, window), lambda: self._read(champion, window))

    def matured(self, mature: Mature) -> Sequence[WindowReading]:
        """Read a window with the labels that had come by its maturity; see `World`."""
        of = (mature.window, mature.until)
        measured = self._once(("matured", mature.served.key, *of), lambda: self._measure(mature))
        if not mature.labels:
            return measured
        labels = self._once(("labels", mature.champion.key, *of), lambda: self._read_labels(mature))
        return [*measured, *labels]

    def told(
        self, now: WindowReading, before: Sequence[WindowReading], since: datetime
    ) -> Sequence[WindowReading]:
        """Let detectors look at a window's loss; see `World`."""
        first = first_seen(since, Interval(now.start, now.end))
        return detect_changes(now, [one for one in before if one.end > first], first)

    def _judged_rows(self, contest: Contest) -> slice | None:
        """Return the rows that none of the models was trained on, None where none are left."""
        wanted = contest.wanted
        evaluate = specification_of(wanted).windows(wanted.at, self.history.first).evaluate
        rivals = [contest.champion, *([] if contest.anchor is None else [contest.anchor])]
        start = max(evaluate.start, *(made.train_end for made in [contest.challenger, *rivals]))
        if start >= evaluate.end:
            return None
        rows = self.history.part(Interval(start, evaluate.end))
        return rows if rows.start < rows.stop else None

    def _prior(self, challenger: Made) -> float | None:
        """Return the mean training label, where that is what knows nothing."""
        one = self.history.target.task in ONE_PRIOR
        return self.models.get(challenger).prior if one else None

    def _slices(self, names: Sequence[str], rows: slice) -> dict[str, SliceColumn]:
        table = self.history.table.slice(rows.start, rows.stop - rows.start)
        return {name: slice_column(table, name) for name in names if is_cut(table, name)}

    def _read(self, champion: Made, window: Interval) -> list[WindowReading]:
        profile, state = self._profile(window), self._state(window)
        if profile.rows == 0 or state == "outage":
            state = "outage" if state == "outage" else "empty"
            return [
                WindowReading(name, EVERYTHING, window.start, window.end, None, 0, state)
                for name in CLOSED
            ]
        past = self._past(window)
        view = WindowView(profile, self._reference(champion), past)
        return profile_readings(window, view)

    def _past(self, window: Interval) -> PastWindows:
        """Return the comparable windows before, as far as they have rows."""
        starts = past_starts(window.start, window.length)
        profiles: dict[datetime, Profile] = {}
        for start in starts:
            profile = self._profile(Interval(start, start + window.length))
            if profile.rows:
                profiles[start] = profile
        stack = ProfileStack.of(list(profiles.values()), self._get_bins())
        return PastWindows(tuple(profiles), stack)

    def _profile(self, window: Interval) -> Profile:
        def make() -> Profile:
            return profile_rows(self.history.columns(self.history.part(window)), self._get_bins())

        return self._once(("profile", window), make)

    def _reference(self, champion: Made) -> Profile:
        def make() -> Profile:
            places = self.models.get(champion).places
            return profile_rows(self.history.columns(places), self._get_bins())

        return self._once(("reference", champion.key), make)

    def _get_bins(self) -> Bins:
        if self._bins is None:
            message = "a world has bins once it has trained a first model"
            raise RuntimeError(message)
        return self._bins

    def _state(self, window: Interval) -> ReadingState:
        """Return `outage` where a feed was down for much of a window."""
        down = sum((one.length for one in clipped(self._outages, window)), timedelta())
        return "outage" if down > MOST_LEFT_OUT * window.length else "final"

    def _measure(self, mature: Mature) -> list[WindowReading]:
        window, task = mature.window, self._shape.task
        rows, state = self.history.part(window), self._state(window)
        size = rows.stop - rows.start
        if not size or state == "outage":
            nothing = Taken(task, window, None, "empty" if state == "final" else state)
            return label_readings(nothing, self._rule, _rng(window))
        measured, places = self._labelled(mature, rows), np.zeros(size, dtype=np.intp)
        taken = LabelledRows(self._shape, measured, places, np.full(size, np.nan), places)
        found = label_readings(Taken(task, window, taken, "final"), self._rule, _rng(window))
        loss = read_loss(task, measured, window)
        return found if loss is None else [*found, loss]

    def _labelled(self, mature: Mature, rows: slice) -> LabelledWindow:
        history = self.history
        return LabelledWindow(
            np.where(history.known_by(rows, mature.until), history.labels[rows], np.nan),
            self.models.scores(mature.served, rows),
            history.weights_at(rows),
            history.times[rows],
            None if history.groups is None else history.groups[rows],
        )

    def _read_labels(self, mature: Mature) -> list[WindowReading]:
        """Read how the labels of a window lie to those that the champion was trained on."""
        history, window = self.history, mature.window
        rows = history.part(window)
        if rows.start == rows.stop or self._state(window) == "outage":
            return []
        own = label_bins(classes_of(history.target), self._get_bins())
        trained = history.labels[self.models.get(mature.champion).places]
        labels = np.where(history.known_by(rows, mature.until), history.labels[rows], np.nan)
        return list(read_labels(labels, own, label_profile(trained, own), window))

    def _once(self, key: Hashable, make: Callable[[], A]) -> A:
        """Return what was made before, or make it; made twice at the same time is made alike."""
        if key not in self._known:
            self._known[key] = make()
        return cast("A", self._known[key])


def _rng(window: Interval) -> np.random.Generator:
    """Return the generator that the live controller measures this window with."""
    return np.random.default_rng(int(window.start.timestamp()))
