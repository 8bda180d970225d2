"""Past windows of a stream: the profiles that a new window is compared with.

What always holds: they are read from stored profiles, never from rows, so their cost does not
depend on the traffic; windows that an outage touched are left out. Days come from their roll-ups,
shorter windows from the hours that they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.season import past_starts
from mlreg.controller.domain.windows import DAY, Interval
from mlreg.controller.monitors.monitor import History
from mlreg.controller.services.rollups import LENGTHS, Starts, Width, WindowStack, load_starts
from mlreg.controller.store import profiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from mlreg.controller.domain.profile import Profile
    from mlreg.registry.store.database import ReadSession

    Log = tuple[int, str]
    """A model's id and a feature contract, by its digest."""

BEFORE_PROMOTION = 28 * DAY
FIRST_DAYS = 7
"""Of a champion before which nothing scored."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A window of a log whose past is sought; `down`: the outages in that."""

    log: Log
    bins: Bins
    window: Interval
    down: Sequence[Interval]


def load_histories(session: ReadSession, sought: Sequence[Sought]) -> list[History]:
    """Return the past windows to compare each window with.

    Raises:
        BrokenProfileError: stored bytes are not profiles of the contract's bins.
    """
    found: dict[int, History] = {}
    for width in sorted({_width(one.window) for one in sought}):
        places = [place for place, one in enumerate(sought) if _width(one.window) == width]
        owners = [_owners(sought[place], LENGTHS[width]) for place in places]
        wanted = [
            Starts(sought[place].log, sought[place].bins, list(pieces))
            for place, pieces in zip(places, owners, strict=True)
        ]
        stacks = load_starts(session, width, wanted)
        for place, pieces, parts in zip(places, owners, stacks, strict=True):
            found[place] = _merged(parts, pieces)
    return [found[place] for place in range(len(sought))]


class Scored(NamedTuple):
    """The reference of a champion, and since when that serves a log."""

    log: Log
    reference: Profile | None
    promoted_at: datetime


def score_reference(
    session: ReadSession, log: Log, reference: Profile | None, promoted_at: datetime
) -> Profile | None:
    """Return a reference whose scores are those that were logged before the champion came.

    The rows that a version was trained on have none: other versions scored them, and its own would
    be in-sample. Where no scores were logged in the four weeks before, they are those of its own
    first seven days, once these are over; until then it stays without.
    """
    return score_references(session, [Scored(log, reference, promoted_at)])[0]


def score_references(session: ReadSession, asked: Sequence[Scored]) -> list[Profile | None]:
    """Return the same of many."""
    found = [one.reference for one in asked]
    bare = [
        (place, _Bare(one.log, one.reference, one.promoted_at))
        for place, one in enumerate(asked)
        if one.reference is not None and not _has_scores(one.reference)
    ]
    before = [
        (one, _midnight_after(one.promoted_at - BEFORE_PROMOTION), BEFORE_PROMOTION // DAY - 1)
        for _, one in bare
    ]
    for (place, one), scored in zip(bare, _with_scores(session, before), strict=True):
        found[place] = scored if _has_scores(scored) else _of_first_days(session, one)
    return found


class _Bare(NamedTuple):
    """A reference that is there, and has no scores."""

    log: Log
    reference: Profile
    promoted_at: datetime


def _of_first_days(session: ReadSession, bare: _Bare) -> Profile:
    first = _midnight_after(bare.promoted_at)
    newest = profiles.newest_hour(session, bare.log)
    if newest is None or newest < first + FIRST_DAYS * DAY:
        return bare.reference
    return _with_scores(session, [(bare, first, FIRST_DAYS)])[0]


def _with_scores(
    session: ReadSession, asked: Sequence[tuple[_Bare, datetime, int]]
) -> list[Profile]:
    """Return references with the scores of some days from a first one, if any were logged."""
    wanted = [
        Starts(bare.log, bare.reference.bins, [first + number * DAY for number in range(count)])
        for bare, first, count in asked
    ]
    stacks = load_starts(session, "day", wanted)
    return [
        bare.reference.with_scores(one.stack.merged()) if len(one.starts) else bare.reference
        for (bare, *_), one in zip(asked, stacks, strict=True)
    ]


def _midnight_after(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def _width(window: Interval) -> Width:
    return "day" if window.length >= DAY else "hour"


def _owners(sought: Sought, step: timedelta) -> dict[datetime, datetime]:
    """Return the start of each stored part of the past, and of the window that it is a part of."""
    window = sought.window
    return {
        start + number * step: start
        for start in past_starts(window.start, window.length)
        if not any(one.overlaps(Interval(start, start + window.length)) for one in sought.down)
        for number in range(window.length // step)
    }


def _merged(parts: WindowStack, owners: Mapping[datetime, datetime]) -> History:
    """Return the windows that have any rows, their parts and versions merged."""
    starts = tuple(owners[start] for start in parts.starts)
    whole = WindowStack(starts, parts.versions, parts.stack).by_start()
    return History(whole.starts, whole.stack)


def _has_scores(reference: Profile) -> bool:
    return reference.column("score").known > 0
