"""Roll-ups: the profiles of days and weeks, kept beside those of their hours.

What always holds: a roll-up is the merge of its hours, exactly for counts. The transaction that
adds rows to hours adds the same rows to their days and weeks, so a late batch is in both or in
neither, and no batch is in one twice. A roll-up that is not there yet (its hours are older than
roll-ups are) is made of its hours, by whoever adds to it first; until then readers merge those.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mlreg.controller.domain.profile import Profile, merge, merge_all
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.domain.windows import DAY, HOUR, WEEK, Interval, window_of
from mlreg.controller.store import profiles
from mlreg.controller.store.closed_windows import bodies_at
from mlreg.controller.store.tables import RolledProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.feedback.columns import HourProfile
    from mlreg.registry.store.database import ReadSession, WriteSession

    Log = tuple[int, str]
    """A model's id and a feature contract, by its digest."""
    Place = tuple[datetime, int]
    """The start of a window, and a version."""

Width = Literal["hour", "day", "week"]
LENGTHS: dict[Width, timedelta] = {"hour": HOUR, "day": DAY, "week": WEEK}
ROLLED: tuple[Width, ...] = ("day", "week")


@dataclass(frozen=True, slots=True, eq=False)
class WindowStack:
    """Stored profiles of windows, in order of start, then version."""

    starts: tuple[datetime, ...]
    versions: tuple[int, ...]
    stack: ProfileStack

    def by_start(self) -> WindowStack:
        """Return the same with all versions of a window merged; a version of 0 stands for all."""
        if len(set(self.starts)) == len(self.starts):
            return self
        distinct = tuple(dict.fromkeys(self.starts))
        merged = self.stack.merged_by(_keys(self.starts))
        return WindowStack(distinct, (0,) * len(distinct), merged)

    def of_version(self, version: int) -> WindowStack:
        """Return the windows of one version alone."""
        chosen = np.flatnonzero(np.array(self.versions, dtype=np.intp) == version)
        starts = tuple(self.starts[place] for place in chosen)
        return WindowStack(starts, (version,) * len(starts), self.stack.take(chosen))


def load_stack(
    session: ReadSession, log: Log, bins: Bins, width: Width, within: Interval
) -> WindowStack:
    """Return the profiles of the windows that begin in an interval, of every version.

    Raises:
        BrokenProfileError: stored bytes are not profiles of these bins.
    """
    found = profiles.list_bodies(session, log, width, within.start, within.end)
    if width != "hour":
        found = sorted([*found, *_not_rolled(session, log, bins, width, within)])
    return _window_stack(found, bins)


class Starts(NamedTuple):
    """The windows of a log that begin just then."""

    log: Log
    bins: Bins
    starts: Sequence[datetime]


def load_starts(session: ReadSession, width: Width, wanted: Sequence[Starts]) -> list[WindowStack]:
    """Return for each log the profiles of the windows that it asks for, of every version.

    A day or week that is not rolled up yet is not among them.

    Raises:
        BrokenProfileError: stored bytes are not profiles of these bins.
    """
    found = bodies_at(session, width, [(one.log, one.starts) for one in wanted])
    return [_window_stack(of, one.bins) for one, of in zip(wanted, found, strict=True)]


def roll_up(session: WriteSession, log: Log, added: Sequence[HourProfile]) -> None:
    """Add rows to the days and weeks of their hours, which have been written already.

    The caller holds the model's lock.
    """
    for width in ROLLED:
        parts = _by_window(added, width)
        stored = _stored(session, log, parts, width)
        bins = added[0].profile.bins
        missing = parts.keys() - stored.keys()
        made = _of_hours(session, log, bins, width, {start for start, _ in missing})
        wholes = {
            place: merge(Profile.from_bytes(stored[place], bins), part)
            if place in stored
            else made[place]
            for place, part in parts.items()
        }
        _write(session, log, width, wholes)


def roll_up_anew(session: WriteSession, log: Log, bins: Bins, starts: Iterable[datetime]) -> None:
    """Make the days and weeks that hold some hours anew, of all their hours."""
    hours = list(starts)
    for width in ROLLED:
        windows = {window_of(start, LENGTHS[width]).start for start in hours}
        _write(session, log, width, _of_hours(session, log, bins, width, windows))


def _window_stack(found: Sequence[profiles.Body], bins: Bins) -> WindowStack:
    stack = ProfileStack.from_bytes([one.body for one in found], bins)
    return WindowStack(
        tuple(one.start for one in found), tuple(one.version for one in found), stack
    )


def _by_window(added: Sequence[HourProfile], width: Width) -> dict[Place, Profile]:
    """Merge the added rows of each window and version."""
    parts: dict[Place, list[Profile]] = {}
    for hour in added:
        start = window_of(hour.start, LENGTHS[width]).start
        parts.setdefault((start, hour.version), []).append(hour.profile)
    return {place: merge_all(found) for place, found in parts.items()}


def _stored(
    session: ReadSession, log: Log, parts: Mapping[Place, object], width: Width
) -> dict[Place, bytes]:
    starts = [start for start, _ in parts]
    listed = profiles.list_bodies(session, log, width, min(starts), max(starts) + LENGTHS[width])
    return {(one.start, one.version): one.body for one in listed}


def _of_hours(
    session: ReadSession, log: Log, bins: Bins, width: Width, starts: Iterable[datetime]
) -> dict[Place, Profile]:
    """Merge the stored hours of some windows, by version."""
    found: dict[Place, Profile] = {}
    for start in starts:
        hours = load_stack(session, log, bins, "hour", Interval(start, start + LENGTHS[width]))
        for version in sorted(set(hours.versions)):
            found[start, version] = hours.of_version(version).stack.merged()
    return found


def _not_rolled(
    session: ReadSession, log: Log, bins: Bins, width: Width, within: Interval
) -> list[profiles.Body]:
    """Return, made of their hours, the windows that nobody has rolled up yet."""
    length = LENGTHS[width]
    first = window_of(within.start, length)
    start = first.start if first.start == within.start else first.end
    whole = Interval(start, max(window_of(within.end - HOUR, length).end, start + length))
    starts = profiles.list_not_rolled(session, log, (width, length), whole)
    there = {
        (one.start, one.version)
        for one in profiles.list_bodies(session, log, width, whole.start, whole.end)
    }
    made = _of_hours(session, log, bins, width, [one for one in starts if within.holds(one)])
    return [
        profiles.Body(start, version, profile.to_bytes())
        for (start, version), profile in made.items()
        if (start, version) not in there
    ]


def _write(session: WriteSession, log: Log, width: Width, made: Mapping[Place, Profile]) -> None:
    rolled = [
        RolledProfile(
            model_id=log[0],
            contract=log[1],
            version=version,
            width=width,
            start=start,
            rows=profile.rows,
            body=profile.to_bytes(),
        )
        for (start, version), profile in sorted(made.items(), key=lambda one: one[0])
    ]
    profiles.keep_rolled(session, rolled)


def _keys(starts: Sequence[datetime]) -> NDArray[np.float64]:
    return np.array([start.timestamp() for start in starts])
