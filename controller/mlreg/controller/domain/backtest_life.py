"""Replaying history under a policy: who would have served when, and what it would have cost.

    course = replay(policy, world, first, span)

What always holds: nothing here decides anything of its own. Triggers are judged by
`evaluating.judge_moment`, what comes of a firing, and what waits for rows after a change, by
`pending`, the lane by `lanes.choose_lane`, as in the live controller; what depends on rows is asked
of a `World`, which trains, reads and judges by the live controller's code too. There is no clock
and no randomness.

It begins as if a run had just ended: the first model's, whose labels had come as far as any run's.
Moments are those of the live controller (`evaluating.next_moment`): due times, the close of a
window and its maturity, the end of quiet hours. A model that was asked for at a moment is the
champion from then on (`goes_live_after` more), and serves the windows that begin then or later.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.backtest import (
    DEFAULT_TERMS,
    Contest,
    Course,
    Made,
    Mature,
    Retraining,
    Terms,
    Wanted,
    World,
)
from mlreg.controller.domain.backtest_check import check_replayable, need_of
from mlreg.controller.domain.evaluating import due_moment, judge_moment, next_moment
from mlreg.controller.domain.firing import Circumstances, PastRun
from mlreg.controller.domain.lanes import NOT_TO_CONTINUE, Lane, LaneSituation, choose_lane
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.pending import LABELLED, collect, conclude
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.triggers import Need, View
from mlreg.controller.domain.watchable import DETECTORS
from mlreg.controller.domain.windows import Interval, closed_windows, window_of
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event


LOSS, OF_LABELS = "concept_loss", "label_"


def replay(
    policy: Policy | None,
    world: World,
    first: Made,
    span: tuple[Interval, timedelta],
    terms: Terms = DEFAULT_TERMS,
) -> Course:
    """Let a policy run over a span of history; None: never retrain.

    Args:
        policy: whose triggers, lanes, windows and gates count.
        world: the rows.
        first: who serves at the beginning.
        span: from when to when, and the width of its windows.
        terms: gates or none, and how late models go live.

    Raises:
        NotReplayableError: a trigger looks at what no row tells.
    """
    windows = list(closed_windows(span[0].start, span[0].end, span[1]))
    if policy is None:
        return Course(windows, [first] * len(windows))
    life = _Life(policy, world, first, span[0].start, terms)
    for window in windows:
        life.live(window)
    return life.course


@dataclass(frozen=True, slots=True)
class _Serving:
    """Who serves, since when; numbers count up as versions do."""

    made: Made
    number: int
    since: datetime


class _Life:
    """One policy from window to window; it is its own `ViewSource`."""

    def __init__(
        self, policy: Policy, world: World, first: Made, start: datetime, terms: Terms
    ) -> None:
        check_replayable(policy, [one for all_ in world.monitors for one in all_], start)
        self._policy, self._world, self._terms = policy, world, terms
        self._delay = policy.data.label_delay
        self._serving = _Serving(first, 1, start)
        self._began = start
        self._anchor: Made | None = None
        self._coming: tuple[datetime, Made] | None = None
        width = policy.data.window
        matured = window_of(start - self._delay, width).start
        self._memory = PolicyMemory(start, matured, start)
        self._read: dict[str, list[WindowReading]] = defaultdict(list)
        unripe = closed_windows(matured, start, width)
        self._awaited = deque((window, first) for window in unripe)
        wanted = [need_of(trigger, start) for trigger in policy.triggers]
        if policy.data.selection.waits_for_change:
            wanted.append(Need((LABELLED, *sorted(DETECTORS))))
        of_labels = [one for one in world.monitors[1] if one.startswith(OF_LABELS)]
        self._wants_closed, self._wants_matured, self._wants_told, self._wants_labels = (
            any(_names(need, monitors) for need in wanted)
            for monitors in (*world.monitors, DETECTORS, of_labels)
        )
        self.course = Course()

    def live(self, window: Interval) -> None:
        """Serve in a window, and judge at every moment of it."""
        self._go_live(window.start)
        self.course.windows.append(window)
        self.course.served.append(self._serving.made)
        last = None
        while (moment := next_moment(self._policy, self._memory)) <= window.end:
            if moment == last:  # nothing more is known of it: what waits, waits for the next window
                break
            last = moment
            self._go_live(moment)
            self._read_until(moment)
            due = due_moment(self._policy, self._memory, moment)
            if due is not None:
                self._judge(due)

    def _judge(self, at: datetime) -> None:
        """Judge the triggers, and let come of it what comes."""
        judged = judge_moment(self._policy, self, self._memory, at)
        pending = collect(self._policy, self, judged.memory, judged.fires, at)
        self._memory = pending.memory
        if not pending.fires:
            return
        concluded = conclude(self._policy, pending, self._circumstances(at), at)
        self._memory = concluded.memory
        if concluded.outcome == "run":
            causes = tuple(one.name for one in pending.fires)
            self._retrain(at, causes, pending.changed_at)
        elif concluded.is_news:
            self.course.held[concluded.outcome] += 1

    def look(self, at: datetime) -> View:
        """Say who serves and when the last run was; see `ViewSource`."""
        last = self.course.runs[-1].at if self.course.runs else self._began
        return View(
            now=at,
            previous=at,
            watermark=last - self._delay,
            last_run_at=last,
            promoted_at=self._serving.since,
            champion=self._serving.number,
        )

    def readings(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """Return the readings of windows that ended before; see `ViewSource`."""
        del at  # later ones are not read yet
        families = [name for name in self._read if name.startswith(need.families)]
        return {
            name: _after(self._read.get(name, []), need.after)
            for name in dict.fromkeys([*need.monitors, *families])
        }

    def events(self, source: str, seen: int | None, after: datetime) -> Sequence[Event]:
        """Return nothing: history has rows only; see `ViewSource`."""
        del source, seen, after
        return ()

    def _go_live(self, now: datetime) -> None:
        if self._coming is None or self._coming[0] > now:
            return
        at, made = self._coming
        self._serving = _Serving(made, self._serving.number + 1, at)
        self._coming = None

    def _read_until(self, moment: datetime) -> None:
        """Read the window that closes at a moment, and those that are mature by then."""
        window = self.course.windows[-1]
        if window.end <= moment:
            if self._wants_closed:
                self._keep(self._world.closed(self._serving.made, window))
            self._awaited.append((window, self.course.served[-1]))
            self._memory = self._memory._replace(closed_until=window.end)
        while self._awaited and self._awaited[0][0].end + self._delay <= moment:
            older, served = self._awaited.popleft()
            if self._wants_matured:
                self._read_labels(served, older)
            self._memory = self._memory._replace(matured_until=older.end)

    def _read_labels(self, served: Made, window: Interval) -> None:
        """Read a window that is mature, and whether its loss tells of a change."""
        champion, until = self._serving.made, window.end + self._delay
        mature = Mature(window, served, champion, until, self._wants_labels)
        before = tuple(self._read[LOSS])
        self._keep(self._world.matured(mature))
        losses = self._read[LOSS][len(before) :]
        if self._wants_told and losses:
            self._keep(self._world.told(losses[-1], before, self._serving.since))

    def _keep(self, found: Sequence[WindowReading]) -> None:
        for one in found:
            self._read[one.monitor].append(one)

    def _circumstances(self, at: datetime) -> Circumstances:
        hours = self._policy.quiet_hours
        return Circumstances(
            quiet=hours is not None and hours.end_of(at) is not None,
            busy=self._coming is not None,
            outage=any(one.start < at <= one.end for one in self._terms.outages),
            runs=tuple(PastRun(one.at, one.seconds) for one in self.course.runs),
        )

    def _retrain(self, at: datetime, causes: tuple[str, ...], changed_at: datetime | None) -> None:
        lane = self._choose_lane(at)
        parent = None if lane == "full" else self._serving.made
        wanted = Wanted(at, lane, self._policy, parent, changed_at)
        try:
            wanted, made = self._train(wanted)
        except RegistryError as error:
            failed = Retraining(at, lane, causes, None, "failed", str(error))
            self.course.runs.append(failed)
            return
        verdict = self._verdict(wanted, made)
        self.course.runs.append(Retraining(at, wanted.lane, causes, made, verdict))
        if verdict in {"live", "accepted"}:
            self._coming = (at + self._terms.goes_live_after, made)
            self._go_live(at)

    def _train(self, wanted: Wanted) -> tuple[Wanted, Made]:
        """Train, in full where the trainer finds that the parent cannot be continued, as runs do.

        Raises:
            RegistryError: the rows cannot be trained on.
        """
        try:
            return wanted, self._world.train(wanted)
        except RegistryError as error:
            if wanted.lane == "full" or error.code not in NOT_TO_CONTINUE:
                raise
        full = replace(wanted, lane="full", parent=None)
        return full, self._world.train(full)

    def _verdict(self, wanted: Wanted, made: Made) -> str:
        if not self._terms.gates:
            return "live"
        contest = Contest(wanted, made, self._serving.made, self._anchor)
        found = self._world.judge(contest)
        if found.verdict == "accepted" and found.superior:
            self._anchor = made
        return found.verdict

    def _choose_lane(self, at: datetime) -> Lane:
        ages: dict[Lane, timedelta] = {"full": at - self._began}
        stateful = 0
        for run in self.course.runs:
            if run.made is not None:
                ages[run.lane] = at - run.at
                stateful = 0 if run.lane == "full" else stateful + 1
        trees = self._serving.made.trees
        situation = LaneSituation(
            ages,
            has_parent=True,
            trees=trees,
            stateful_runs=stateful,
            trees_per_round=self._terms.trees_per_round,
        )
        return choose_lane(self._policy.retrain.lanes, situation)


def _names(need: Need, monitors: Collection[str]) -> bool:
    return any(
        monitor in need.monitors or monitor.startswith(need.families) for monitor in monitors
    )


def _after(found: list[WindowReading], after: datetime | None) -> tuple[WindowReading, ...]:
    """Return the readings of windows that end after a moment; they were read in that order."""
    if after is None:
        return tuple(found)
    place = len(found)
    while place and found[place - 1].end > after:
        place -= 1
    return tuple(found[place:])
