"""Reading a closed window: its monitors, and whether a feed was down in it.

What always holds: readings rest only on hours outside outages; a window of which less than nine
tenths of the rows are left says `outage` (what is left would drift by its hours alone), one without
rows `empty`; reading a window again writes the same readings over the old ones, and judges them
against the windows before it, measured with the same yardstick.
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
from mlreg.controller.domain.outage import HourShares, OutageRule, Suspicion, step
from mlreg.controller.domain.profile import Profile, merge_all
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.season import Past, verdicts
from mlreg.controller.domain.windows import HOUR, Interval, window_of
from mlreg.controller.monitors.kinds import MONITORS
from mlreg.controller.monitors.monitor import History, Measured, WindowView
from mlreg.controller.services import business, estimating, outages, profiles, watching
from mlreg.controller.services.history import load_history
from mlreg.controller.services.label_readings import awaited
from mlreg.controller.services.withdrawing import replacing
from mlreg.controller.store import readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlreg.controller.domain.readings import ReadingState, Verdict
    from mlreg.registry.store.database import ReadSession, WriteSession

LEAST_SHARE_LEFT = 0.9
MAX_AGAIN = 168
"""So many windows are written again at most when an outage is told that began in them."""
RULE = OutageRule()
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


@dataclass(frozen=True, slots=True)
class Hours:
    """The hourly profiles of a window, all versions of an hour merged."""

    by_start: Mapping[datetime, Profile] = field(default_factory=dict)

    def outside(self, outages: Sequence[Interval]) -> list[Profile]:
        """Return the profiles of the hours that no outage touches."""
        return [
            profile
            for start, profile in self.by_start.items()
            if not any(one.overlaps(Interval(start, start + HOUR)) for one in outages)
        ]

    @property
    def rows(self) -> int:
        """All rows of the window."""
        return sum(profile.rows for profile in self.by_start.values())


@dataclass(frozen=True, slots=True)
class Look:
    """What reading a window leaves behind.

    Attributes:
        suspicion: what is suspected of the feed now.
        again: windows before it that were written again, for an outage had begun in them.
    """

    suspicion: Suspicion | None
    again: tuple[Interval, ...] = ()


def read_window(
    session: WriteSession,
    watched: Watched,
    window: Interval,
    suspicion: Suspicion | None,
    now: datetime,
) -> Look:
    """Look for an outage, and write the window's readings."""
    place = (watched.model_id, watched.environment)
    hours = load_hours(session, watched, window)
    after, begun = _look_for_outage(session, watched, hours, suspicion, now)
    before: list[Interval] = []
    if begun is not None and begun < window.start:  # it began in windows that are read already
        before = _between(begun, window)
        write_again(session, watched, before, now)
    _write(session, watched, window, hours, now)
    watching.watch(session, place, [window], now=now, rules=watched.alerts)
    return Look(after, tuple(before))


def write_again(
    session: WriteSession, watched: Watched, windows: Sequence[Interval], now: datetime
) -> None:
    """Write the readings of windows that were read before, as their rows are now."""
    place = (watched.model_id, watched.environment)
    for window in windows:
        _write(session, watched, window, load_hours(session, watched, window), now, again=True)
    watching.watch(session, place, windows, now=now, rules=watched.alerts, again=True)


def _between(begun: datetime, window: Interval) -> list[Interval]:
    """Return the windows from the one in which an outage began to the one before this."""
    first = max(window_of(begun, window.length).start, window.start - MAX_AGAIN * window.length)
    count = (window.start - first) // window.length
    starts = [first + number * window.length for number in range(count)]
    return [Interval(start, start + window.length) for start in starts]


def load_hours(session: ReadSession, watched: Watched, window: Interval) -> Hours:
    """Return the hourly profiles of a window under the champion's contract, in order."""
    if watched.contract is None:
        return Hours()
    found: dict[datetime, list[Profile]] = defaultdict(list)
    logged = profiles.window_profiles(
        session, watched.model_id, watched.contract, window.start, window.end
    )
    for hour in logged:
        found[hour.start].append(hour.profile)
    return Hours({start: merge_all(found[start]) for start in sorted(found)})


def _look_for_outage(
    session: WriteSession,
    watched: Watched,
    hours: Hours,
    suspicion: Suspicion | None,
    now: datetime,
) -> tuple[Suspicion | None, datetime | None]:
    """Fold the window's hours; return what is suspected after them, and a new outage's start."""
    reference = shares_of(watched.reference, watched.at_risk)
    begun = None
    for start, profile in hours.by_start.items():
        hour = HourShares(start, profile.rows, shares_of(profile, watched.at_risk))
        outcome = step(suspicion, hour, reference, RULE)
        outages.record_step(session, (watched.model_id, watched.environment), outcome, now)
        suspicion = outcome.suspicion
        if outcome.begun and suspicion is not None:
            begun = suspicion.start
    return suspicion, begun


def shares_of(profile: Profile | None, features: Iterable[str]) -> dict[str, float]:
    """Return by feature the share of rows at its default or missing."""
    if profile is None:
        return {}
    return {
        feature: profile.column(feature).default_share
        for feature in features
        if feature in profile.bins.places
    }


def _write(
    session: WriteSession,
    watched: Watched,
    window: Interval,
    hours: Hours,
    now: datetime,
    *,
    again: bool = False,
) -> None:
    down = readings.outage_intervals(session, watched.model_id, window)
    kept = hours.outside(down)
    state = _state(hours.rows, sum(profile.rows for profile in kept))
    place = (watched.model_id, watched.environment)
    if state == "final":
        found = _read(session, watched, window, merge_all(kept))
        estimated = estimating.Estimated(*place, watched.task, watched.contract, watched.threshold)
        found += estimating.estimates(session, estimated, window, down)
    else:
        found = [_mark(window, monitor, state, hours.rows) for monitor in WHOLE]
    if again:
        found = replacing(session, place, window, found, state)
    readings.write_readings(session, place, found, now=now)
    waiting = [_mark(window, name, "immature", hours.rows) for name in awaited(watched.task)]
    readings.write_readings(session, place, waiting, now=now, keep=True)
    business.read_business(session, place, window, now=now)


def _read(
    session: ReadSession, watched: Watched, window: Interval, profile: Profile
) -> list[WindowReading]:
    """Return every monitor's readings of a window, judged against windows before it."""
    log = (watched.model_id, watched.contract or "")
    history = load_history(session, log, window)
    decides = watched.task == "multiclass"
    return profile_readings(window, WindowView(profile, watched.reference, history, decides))


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


def _mark(window: Interval, monitor: str, state: ReadingState, rows: int) -> WindowReading:
    return WindowReading(monitor, EVERYTHING, window.start, window.end, None, rows, state)


def _state(rows: int, kept: int) -> ReadingState:
    if rows == 0:
        return "empty"
    return "final" if kept >= LEAST_SHARE_LEFT * rows and kept > 0 else "outage"
