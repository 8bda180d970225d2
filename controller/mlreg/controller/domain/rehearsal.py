"""A rehearsal: what a policy would have done in the last weeks, had it been in force.

    found = rehearse(policy, past, Interval(now - 30 * DAY, now))

What always holds: triggers are judged by `evaluating.judge_moment` and firings by
`settling.conclude_firing`, as in the live controller, on what was known at each moment: a reading
counts from the close of its window on, one that rests on labels from its maturity on. The champions
are those that served; the runs are those that the policy itself would have asked for, and each
takes what runs here have taken. Nothing is trained: `mlreg policy backtest` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from mlreg.controller.domain.evaluating import (
    due_moment,
    judge_moment,
    next_moment,
)
from mlreg.controller.domain.firing import TRAIN_WEEK, Circumstances, Outcome, PastRun
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.settling import conclude_firing
from mlreg.controller.domain.triggers import Need, View, names_of
from mlreg.controller.domain.windows import window_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.controller.domain.evaluating import ViewSource
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event, Held
    from mlreg.controller.domain.windows import Interval

MOST_MOMENTS = 5_000
MOST_READINGS = 5_000_000
"""Those that triggers are shown, all moments together: beyond it is said how far it came."""


class KnownReadings(Protocol):
    """Stored readings, as they were known."""

    def known(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """Return the needed readings that were known at a moment, by monitor."""
        ...


@dataclass(frozen=True, slots=True)
class Past:
    """What a rehearsal rests on.

    Attributes:
        champions: since when each version served, oldest first; None where nothing did.
        run_seconds: of training that one run takes; None: no run has ended here.
        last_run_at: when the last run before the rehearsal was asked for.
    """

    readings: KnownReadings
    champions: Sequence[tuple[datetime, int | None]] = ()
    run_seconds: float | None = None
    last_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A firing that would have been."""

    at: datetime
    triggers: tuple[str, ...]
    outcome: Outcome
    because: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A trigger that could not be judged in all of the span, for what it reads is not there.

    Attributes:
        since: when its first reading that has a value begins; None: there is none.
    """

    trigger: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would have been.

    Attributes:
        until: how far it came; before `asked_until` where it was too much.
        moments: how many were judged.
        train_seconds: of all its runs; None: it is not known what one takes.
        unread: the triggers whose not firing says nothing, at the beginning or in all of it.
    """

    since: datetime
    until: datetime
    asked_until: datetime
    moments: int
    firings: tuple[Rehearsed, ...]
    train_seconds: float | None
    unread: tuple[Unread, ...] = ()

    @property
    def runs(self) -> int:
        """How many runs would have been asked for."""
        return sum(one.outcome == "run" for one in self.firings)


@dataclass(slots=True)
class _Stage:
    """The past as the triggers are shown it, with the runs that the rehearsal adds."""

    policy: Policy
    past: Past
    runs: list[PastRun] = field(default_factory=list)
    shown: int = 0

    def look(self, at: datetime) -> View:
        """See `ViewSource.look`."""
        last_run = self.runs[-1].at if self.runs else self.past.last_run_at
        delay = self.policy.data.label_delay
        served = [one for one in self.past.champions if one[0] < at]  # then: of this very firing
        since, champion = served[-1] if served else (None, None)
        return View(
            now=at,
            previous=at,
            watermark=None if last_run is None else last_run - delay,
            last_run_at=last_run,
            promoted_at=since if champion is not None else None,
            champion=champion,
        )

    def readings(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """See `ViewSource.readings`."""
        found = self.past.readings.known(need, at)
        self.shown += sum(map(len, found.values()))
        return found

    def events(self, source: str, seen: int | None, after: datetime) -> Sequence[Event]:
        """See `ViewSource.events`; calls and changes upstream are not rehearsed."""
        del source, seen, after
        return ()


def rehearse(policy: Policy, past: Past, span: Interval) -> Rehearsal:
    """Return what a policy would have done, had it been applied at the beginning of the span."""
    stage = _Stage(policy, past)
    memory = _memory_at(policy, span.start)
    firings: list[Rehearsed] = []
    judged, until = 0, span.start
    for _ in range(MOST_MOMENTS):
        moment = next_moment(policy, memory)
        if moment > span.end or stage.shown > MOST_READINGS:
            until = span.end if moment > span.end else until
            break
        memory, until = _read_until(policy, memory, moment), moment
        due = due_moment(policy, memory, moment)
        if due is None:
            continue
        judged += 1
        memory, fired = _judge(stage, memory, due)
        firings += fired
    seconds = past.run_seconds
    total = None if seconds is None else seconds * len(stage.runs)
    unread = tuple(_unread(policy, past, span))
    return Rehearsal(span.start, until, span.end, judged, tuple(firings), total, unread)


def _unread(policy: Policy, past: Past, span: Interval) -> Iterator[Unread]:
    """Yield the triggers of readings that were not there from the beginning on."""
    width = policy.data.window
    for name, trigger in zip(names_of(policy.triggers), policy.triggers, strict=True):
        need = trigger.need(View(span.end, span.end, width=width))
        if not need.monitors and not need.families:
            continue
        shown = past.readings.known(Need(need.monitors, span.start, need.families), span.end)
        starts = [one.start for all_ in shown.values() for one in all_ if one.value is not None]
        first = min(starts, default=None)
        if first is None or first >= window_of(span.start, width).end:
            yield Unread(name, first)


def _judge(
    stage: _Stage, memory: PolicyMemory, due: datetime
) -> tuple[PolicyMemory, list[Rehearsed]]:
    views: ViewSource = stage
    memory, _, fires = judge_moment(stage.policy, views, memory, due)
    if not fires:
        return memory, []
    concluded = conclude_firing(stage.policy, memory, fires, _circumstances(stage, due), due)
    if concluded.outcome == "run":
        stage.runs.append(PastRun(due, stage.past.run_seconds or 0.0))
    firings = [_rehearsed(fires, concluded.outcome, due)] if concluded.is_news else []
    return concluded.memory, firings


def _memory_at(policy: Policy, start: datetime) -> PolicyMemory:
    width, delay = policy.data.window, policy.data.label_delay
    closed, matured = window_of(start, width).start, window_of(start - delay, width).start
    return PolicyMemory(closed, matured, start)


def _read_until(policy: Policy, memory: PolicyMemory, moment: datetime) -> PolicyMemory:
    """Move the borders: what was to be read by then was read, and drained in time."""
    width, delay = policy.data.window, policy.data.label_delay
    return memory._replace(
        closed_until=max(memory.closed_until, window_of(moment, width).start),
        matured_until=max(memory.matured_until, window_of(moment - delay, width).start),
    )


def _circumstances(stage: _Stage, at: datetime) -> Circumstances:
    policy, quiet = stage.policy, stage.policy.quiet_hours
    since = at - max(TRAIN_WEEK, policy.cooldown, timedelta(days=1))
    recent = tuple(run for run in stage.runs if run.at > since)
    return Circumstances(quiet=quiet is not None and quiet.end_of(at) is not None, runs=recent)


def _rehearsed(fires: Sequence[Held], outcome: Outcome, at: datetime) -> Rehearsed:
    because = "; ".join(one.finding.because for one in fires if one.finding is not None)
    return Rehearsed(at, tuple(one.name for one in fires), outcome, because)
