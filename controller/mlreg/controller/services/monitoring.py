"""Reading a closed window: what it says is written down, and whether a feed was down in it.

What always holds: reading a window again writes the same readings over the old ones, and judges
them against the windows before it, measured with the same yardstick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.outage import HourShares, OutageRule, OutageStep, Suspicion, step
from mlreg.controller.domain.windows import Interval, window_of
from mlreg.controller.services import business, outages, watching
from mlreg.controller.services.window_readings import Hours, Opened, Watched, load_hours, say
from mlreg.controller.services.withdrawing import replacing
from mlreg.controller.store import readings
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.profile import Profile
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model

MAX_AGAIN = 168
"""So many windows are written again at most when an outage is told that began in them."""
RULE = OutageRule()


@dataclass(frozen=True, slots=True)
class Look:
    """What reading a window leaves behind.

    Attributes:
        suspicion: what is suspected of the feed now.
        again: windows before it that were written again, for an outage had begun in them.
    """

    suspicion: Suspicion | None
    again: tuple[Interval, ...] = ()


def watched_of(
    model: Model,
    environment: str,
    policy: Policy,
    contract: str | None,
    reference: Profile | None,
) -> Watched:
    """Return the deployment of a model, whose champion has this contract and this reference."""
    schema = catalog.feature_schema_of(model)
    return Watched(
        model_id=catalog.id_of(model),
        environment=environment,
        task=model.task,
        contract=contract,
        reference=reference,
        at_risk=tuple(one.name for one in schema.features if one.at_risk) if schema else (),
        alerts=policy.alerts,
        threshold=policy.monitors.threshold,
    )


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


def fold(watched: Watched, hours: Hours, suspicion: Suspicion | None) -> list[OutageStep]:
    """Return what each hour of a window does to what is suspected of the feed."""
    reference = shares_of(watched.reference, watched.at_risk)
    steps = []
    for start, profile in hours.by_start.items():
        hour = HourShares(start, profile.rows, shares_of(profile, watched.at_risk))
        steps.append(step(suspicion, hour, reference, RULE))
        suspicion = steps[-1].suspicion
    return steps


def _look_for_outage(
    session: WriteSession,
    watched: Watched,
    hours: Hours,
    suspicion: Suspicion | None,
    now: datetime,
) -> tuple[Suspicion | None, datetime | None]:
    """Fold the window's hours; return what is suspected after them, and a new outage's start."""
    begun = None
    for outcome in fold(watched, hours, suspicion):
        outages.record_step(session, watched.place, outcome, now)
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
    (said,) = say(session, [Opened(watched, window, hours)])
    found, place = said.found, watched.place
    if again:
        found = replacing(session, place, window, found, said.state)
    readings.write_readings(session, place, found, now=now)
    readings.write_readings(session, place, said.waiting, now=now, keep=True)
    business.read_business(session, place, window, now=now)
