"""What a closed window says: the readings of its monitors, made of stored profiles.

Windows of many deployments are read with as many statements as one; what one says does not depend
on the others.

What always holds: readings rest only on hours outside outages; a window of which less than nine
tenths of the rows are left says `outage` (what is left would drift by its hours alone), one without
rows `empty`; nothing is written here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.alert_rule import AlertRules
from mlreg.controller.domain.profile import Profile, merge_all
from mlreg.controller.domain.readings import EVERYTHING, ReadingState, WindowReading
from mlreg.controller.domain.season import Past, past_starts, verdicts
from mlreg.controller.domain.windows import HOUR, Interval
from mlreg.controller.feedback.columns import HourProfile
from mlreg.controller.monitors.kinds import MONITORS
from mlreg.controller.monitors.monitor import History, Measured, WindowView
from mlreg.controller.services import estimating, profiles
from mlreg.controller.services.history import Sought, load_histories
from mlreg.controller.services.label_profiles import past_outcomes_of
from mlreg.controller.services.label_readings import awaited
from mlreg.controller.store import closed_windows as rows
from mlreg.controller.store.closed_windows import Span

if TYPE_CHECKING:
    from mlreg.controller.domain.readings import Verdict
    from mlreg.registry.store.database import ReadSession

    Place = tuple[int, str]
    """A model's id and an environment."""

LEAST_SHARE_LEFT = 0.9
WHOLE = ("rows", "score_mean", "psi", "jensen_shannon", "wasserstein")
"""The monitors that say so when a whole window has nothing to be read."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The deployment whose windows are read.

    Attributes:
        task: of the model; says which metrics await labels.
        contract: the champion's feature contract, by digest.
        reference: the profile of the champion's training rows, if it was kept.
        at_risk: the features whose source can fail.
        alerts: when what is unusual is told; looked up where it is needed, by default.
        threshold: a score of at least this is a decision for the positive class.
    """

    model_id: int
    environment: str
    task: str
    contract: str | None
    reference: Profile | None
    at_risk: tuple[str, ...] = ()
    alerts: AlertRules | None = None
    threshold: float = 0.5

    @property
    def place(self) -> Place:
        """The model's id and the environment."""
        return self.model_id, self.environment


@dataclass(frozen=True, slots=True)
class Hours:
    """The hourly profiles of a window, and all versions of an hour merged."""

    logged: Sequence[HourProfile] = ()
    by_start: Mapping[datetime, Profile] = field(default_factory=dict)

    @classmethod
    def of(cls, logged: Sequence[HourProfile]) -> Hours:
        """Return the hours of these profiles."""
        found: dict[datetime, list[Profile]] = defaultdict(list)
        for hour in logged:
            found[hour.start].append(hour.profile)
        return cls(logged, {start: merge_all(found[start]) for start in sorted(found)})

    def outside(self, outages: Sequence[Interval]) -> list[Profile]:
        """Return the profiles of the hours that no outage touches."""
        return [one for start, one in self.by_start.items() if not _is_down(start, outages)]

    def logged_outside(self, outages: Sequence[Interval]) -> list[HourProfile]:
        """Return the same, each version by itself."""
        return [one for one in self.logged if not _is_down(one.start, outages)]

    @property
    def rows(self) -> int:
        """All rows of the window."""
        return sum(profile.rows for profile in self.by_start.values())


@dataclass(frozen=True, slots=True)
class Opened:
    """A closed window of a deployment, with its hours."""

    watched: Watched
    window: Interval
    hours: Hours


@dataclass(frozen=True, slots=True)
class Said:
    """What a window says, and what awaits its labels."""

    found: list[WindowReading]
    waiting: list[WindowReading]
    state: ReadingState


@dataclass(frozen=True, slots=True)
class _Rows:
    """An opened window, the outages in it and in its past, and what they leave of its rows."""

    opened: Opened
    down: Sequence[Interval]
    kept: Sequence[Profile]
    state: ReadingState


def load_hours(session: ReadSession, watched: Watched, window: Interval) -> Hours:
    """Return the hourly profiles of a window under the champion's contract, in order."""
    return load_hours_of(session, [(watched, window)])[0]


def load_hours_of(session: ReadSession, asked: Sequence[tuple[Watched, Interval]]) -> list[Hours]:
    """Return the hourly profiles of many windows.

    Raises:
        BrokenProfileError: stored bytes are not profiles of the contract's bins.
    """
    contracts = [watched.contract for watched, _ in asked if watched.contract is not None]
    bins = profiles.list_bins(session, contracts)
    spans = [Span(watched.model_id, watched.contract or "", window) for watched, window in asked]
    found = rows.hours_of(session, spans) if bins else [[] for _ in spans]
    return [
        Hours.of(
            [
                HourProfile(one.start, one.version, Profile.from_bytes(one.body, bins[span.name]))
                for one in bodies
            ]
            if span.name in bins
            else []
        )
        for span, bodies in zip(spans, found, strict=True)
    ]


def say(session: ReadSession, opened: Sequence[Opened]) -> list[Said]:
    """Return what windows say, each judged against the windows before it.

    Raises:
        BrokenProfileError: stored bytes are not profiles of the contract's bins.
    """
    known = [_rows(one, down) for one, down in zip(opened, _outages(session, opened), strict=True)]
    final = [one for one in known if one.state == "final"]
    histories = iter(load_histories(session, [_sought(one) for one in final]))
    ends = [
        (one.opened.watched.place, one.opened.window.end)
        for one in final
        if estimating.needs_history(one.opened.watched.task)
    ]
    outcomes = iter(past_outcomes_of(session, ends))
    said = []
    for one in known:
        watched, window = one.opened.watched, one.opened.window
        if one.state == "final":
            found = _read(one, next(histories))
            kept = one.opened.hours.logged_outside(one.down)
            estimated = estimating.Estimated(
                *watched.place, watched.task, watched.contract, watched.threshold
            )
            past = next(outcomes) if estimating.needs_history(watched.task) else []
            found += estimating.estimates(session, estimated, window, kept, past)
        else:
            found = [_mark(one, monitor, one.state) for monitor in WHOLE]
        waiting = [_mark(one, name, "immature") for name in awaited(watched.task)]
        said.append(Said(found, waiting, one.state))
    return said


def _outages(session: ReadSession, opened: Sequence[Opened]) -> list[list[Interval]]:
    """Return for each window when the feed was down, in it and in the windows before it."""
    spans = []
    for one in opened:
        first = past_starts(one.window.start, one.window.length)[0]
        spans.append(Span(one.watched.model_id, "", Interval(first, one.window.end)))
    found = rows.outages_of(session, spans)
    return [[Interval(start, end) for start, end in down] for down in found]


def _rows(opened: Opened, down: Sequence[Interval]) -> _Rows:
    kept = opened.hours.outside(down)
    state = _state(opened.hours.rows, sum(profile.rows for profile in kept))
    return _Rows(opened, down, kept, state)


def _sought(one: _Rows) -> Sought:
    watched = one.opened.watched
    log = (watched.model_id, watched.contract or "")
    return Sought(log, one.kept[0].bins, one.opened.window, one.down)


def _read(one: _Rows, history: History) -> list[WindowReading]:
    """Return every monitor's readings of a window, judged against windows before it."""
    watched = one.opened.watched
    decides = watched.task == "multiclass"
    view = WindowView(merge_all(one.kept), watched.reference, history, decides)
    return profile_readings(one.opened.window, view)


def profile_readings(window: Interval, view: WindowView) -> list[WindowReading]:
    """Return every monitor's readings of a window, whoever keeps them; it has rows."""
    found = [one for monitor in MONITORS for one in monitor.read(view)]
    judged = iter(_verdicts(window, view.history, [one for one in found if one.rule is not None]))
    return [
        _reading(window, one)._replace(verdict=None if one.rule is None else next(judged))
        for one in found
    ]


def _verdicts(
    window: Interval, history: History | None, found: Sequence[Measured]
) -> list[Verdict | None]:
    if history is None or not found:
        return [None] * len(found)
    now = np.array([np.nan if one.value is None else one.value for one in found])
    values = np.stack([one.past for one in found if one.past is not None], axis=1)
    rules = [one.rule for one in found if one.rule is not None]
    return verdicts(now, (window.start, window.length), Past(history.starts, values), rules)


def _reading(window: Interval, one: Measured) -> WindowReading:
    value = one.value if one.value is not None and math.isfinite(one.value) else None
    state: ReadingState = "empty" if value is None else "final"
    return WindowReading(one.monitor, one.subject, window.start, window.end, value, one.rows, state)


def _mark(one: _Rows, monitor: str, state: ReadingState) -> WindowReading:
    window, count = one.opened.window, one.opened.hours.rows
    return WindowReading(monitor, EVERYTHING, window.start, window.end, None, count, state)


def _is_down(start: datetime, outages: Sequence[Interval]) -> bool:
    return any(one.overlaps(Interval(start, start + HOUR)) for one in outages)


def _state(rows: int, kept: int) -> ReadingState:
    if rows == 0:
        return "empty"
    return "final" if kept >= LEAST_SHARE_LEFT * rows and kept > 0 else "outage"
