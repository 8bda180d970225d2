"""Reading a window again: rows came for it after it had been read, or it was an outage after all.

What always holds: a window is read again only where there is something new to it, so that doing it
twice changes nothing; a look that finds fewer rows than the one before (they were erased, or lie
under another contract) leaves the readings as they are; what is read again opens no alert.

A backfill may show an outage of the past. It is written down, and its hours are left out as those
of any other; nobody is woken, for nothing can be done about it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.outage import HourShares, Suspicion, step
from mlreg.controller.domain.windows import DAY, HOUR, Interval, window_of
from mlreg.controller.services import comparing, invariant_readings, measuring, outages
from mlreg.controller.services.monitoring import RULE, shares_of, write_again
from mlreg.controller.services.window_readings import Watched, load_hours
from mlreg.controller.store.readings import find_reading, outage_intervals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mlreg.controller.domain.memory import PolicyMemory
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession, WriteSession

BESIDE = DAY
"""How far an outage is looked for before and after a window that rows came for."""


def read_again(
    session: WriteSession, watched: Watched, window: Interval, border: datetime, now: datetime
) -> list[Interval]:
    """Read a window again that rows came for; return the windows that were written, oldest first.

    Args:
        session: the transaction of the caller.
        watched: the deployment.
        window: which was read before; else nothing happens.
        border: up to which hours are folded into the present suspicion of an outage, or read.
        now: business time.
    """
    if not _is_new(session, watched, window):
        return []
    touched = {window}
    for outage in _past_outages(session, watched, window, border):
        outages.record_past(session, watched.model_id, outage)
        touched |= set(_windows(outage.interval, window))
    known = [one for one in sorted(touched) if _was_read(session, watched, one)]
    write_again(session, watched, known, now)
    return known


def follow(
    session: WriteSession,
    in_force: PolicyInForce,
    memory: PolicyMemory,
    windows: Iterable[Interval],
) -> int:
    """Ask for what jobs read of windows that were written again; return how many jobs that are."""
    asked = 0
    for window in windows:
        asked += invariant_readings.enqueue_window(session, in_force, window)
        asked += measuring.enqueue_again(session, in_force, window, memory.matured_until)
        place = (in_force.model_id, in_force.environment)
        rows = find_reading(session, place, "rows", window)
        if rows is not None and rows.state == "final" and comparing.is_watched(in_force.policy):
            asked += comparing.enqueue_joint(session, in_force, window)
    return asked


def _is_new(session: ReadSession, watched: Watched, window: Interval) -> bool:
    """Whether a window was read, and has more rows now than it had."""
    before = find_reading(session, (watched.model_id, watched.environment), "rows", window)
    if watched.contract is None or before is None:
        return False
    return load_hours(session, watched, window).rows > before.rows


def _was_read(session: ReadSession, watched: Watched, window: Interval) -> bool:
    place = (watched.model_id, watched.environment)
    return find_reading(session, place, "rows", window) is not None


def _past_outages(
    session: ReadSession, watched: Watched, window: Interval, border: datetime
) -> list[Suspicion]:
    """Return the outages around a window that nobody knew of."""
    around = Interval(window.start - BESIDE, max(min(window.end + BESIDE, border), window.end))
    known = outage_intervals(session, watched.model_id, around)
    reference = shares_of(watched.reference, watched.at_risk)
    found: dict[datetime, Suspicion] = {}
    suspicion = None
    for start, profile in load_hours(session, watched, around).by_start.items():
        if any(one.overlaps(Interval(start, start + HOUR)) for one in known):
            suspicion = None
            continue
        hour = HourShares(start, profile.rows, shares_of(profile, watched.at_risk))
        suspicion = step(suspicion, hour, reference, RULE).suspicion
        if suspicion is not None and suspicion.told:
            found[suspicion.start] = suspicion
    return list(found.values())


def _windows(span: Interval, like: Interval) -> Iterable[Interval]:
    """Yield the windows, as long as another one, that a stretch of time touches."""
    one = window_of(span.start, like.length)
    while one.start < span.end:
        yield one
        one = Interval(one.end, one.end + like.length)
