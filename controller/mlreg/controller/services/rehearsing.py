"""What a rehearsal rests on, from the store: stored readings, who served, what runs have taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from mlreg.controller.domain.rehearsal import Past, Rehearsal, rehearse
from mlreg.controller.domain.windows import DAY, Interval
from mlreg.controller.store import policies as rows
from mlreg.controller.store.readings import dated_readings
from mlreg.controller.store.serving import list_champions
from mlreg.registry.store.database import ReadSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.rehearsal import KnownReadings
    from mlreg.controller.domain.triggers import Need
    from mlreg.controller.services.policies import PolicyInForce

    Dated = list[tuple[datetime, WindowReading]]

SPAN = 30 * DAY
SEEN_RUNS = 10


def rehearse_policy(
    session: ReadSession, proposed: PolicyInForce, before: PolicyInForce | None, now: datetime
) -> Rehearsal:
    """Return what a policy would have done in the last 30 days.

    Args:
        session: reads.
        proposed: the policy as it would be in force.
        before: the policy under which the readings were taken, if there is one.
        now: business time.
    """
    place = (proposed.model_id, proposed.environment)
    delay = proposed.policy.data.label_delay
    span = Interval(now - SPAN, now)
    past = Past(
        readings=StoredReadings(
            session,
            place,
            until=now,
            delays=(delay, delay if before is None else before.policy.data.label_delay),
        ),
        champions=list_champions(session, *place),
        run_seconds=usual_run_seconds(session, place),
        last_run_at=rows.last_run_at(session, *place, until=span.start),
    )
    return rehearse(proposed.policy, past, span)


def usual_run_seconds(session: ReadSession, place: tuple[int, str]) -> float | None:
    """Return what a run of a deployment usually trains: the median of the newest ones."""
    found = rows.newest_train_seconds(session, *place, SEEN_RUNS)
    return median(found) if found else None


@dataclass(slots=True)
class StoredReadings:
    """Stored readings as they were known.

    A reading that was taken before its window's labels were due needs none: it was known when its
    window closed. Any other counts from the maturity of its window on.

    Attributes:
        delays: how long labels take by the policy that is rehearsed, and by the one under which the
            readings were taken.
    """

    session: ReadSession
    place: tuple[int, str]
    until: datetime
    delays: tuple[timedelta, timedelta]
    _read: dict[tuple[object, ...], tuple[datetime | None, Dated]] = field(default_factory=dict)

    def known(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """See `KnownReadings.known`."""
        found: dict[str, list[WindowReading]] = {monitor: [] for monitor in need.monitors}
        for known_at, one in self._stored(need):
            if known_at <= at and (need.after is None or one.end > need.after):
                found.setdefault(one.monitor, []).append(one)
        return {monitor: tuple(readings) for monitor, readings in found.items()}

    def _stored(self, need: Need) -> Dated:
        """Return what is stored of these monitors, read once as far back as was ever needed."""
        key = (need.monitors, need.families)
        after, stored = self._read.get(key, (self.until, []))
        if after is not None and (need.after is None or need.after < after):
            dated = dated_readings(self.session, self.place, need, self.until)
            stored = [(self._known_at(one, taken_at), one) for taken_at, one in dated]
            self._read[key] = (need.after, stored)
        return stored

    def _known_at(self, one: WindowReading, taken_at: datetime) -> datetime:
        waits_for_labels = taken_at >= one.end + min(self.delays)
        return one.end + self.delays[0] if waits_for_labels else one.end


if TYPE_CHECKING:
    _PROOF: type[KnownReadings] = StoredReadings
