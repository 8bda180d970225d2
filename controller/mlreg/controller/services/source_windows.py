"""Windows of models that log nothing: their rows are read from the policy's source, by a job.

A closed window waits for its job; the rows become the same hourly profiles as those of the log, so
that whatever reads profiles (volume, quality, drift, outages) reads them too. A source is often
loaded late: the job looks once more at the window that is mature by now, and a window that has more
rows than it had is read again.

What always holds: where anything was logged of the model, the log speaks and the source does not; a
window is read in bounded memory, and no more than `MAX_ROWS` of it; what keeps a source from being
read stands in the reading `source_rows`, in words. Scores and versions are not in a source, so
there is neither drift of scores nor estimated performance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.batches import SCORE, TIME, VERSION
from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.profile import Profile, empty_profile, merge
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import ORIGIN, Interval
from mlreg.controller.feedback.columns import NO_VERSION, HourProfile, profile_hours
from mlreg.controller.services import jobs, profiles, watching
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.rollups import roll_up_anew
from mlreg.controller.services.snapshot_rows import iterate_rows
from mlreg.controller.services.sourcing import freeze_source
from mlreg.controller.store import feedback, late_hours, policies, readings
from mlreg.controller.store.profiles import first_logged
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

KIND = "source_window"
MONITOR = "source_rows"
PRIORITY = 15
MAX_ROWS = 20_000_000
MAX_SHOWN = 300


@dataclass(frozen=True, slots=True)
class _Watched:
    """What is read of which source, and under which bins."""

    model: Model
    place: tuple[int, str]
    data: DataRule
    contract: str
    bins: Bins


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a window's rows are; `because` says why they could not be read."""

    hours: dict[datetime, Profile]
    rows: int
    because: str | None = None


def is_read(session: ReadSession, in_force: PolicyInForce) -> bool:
    """Say whether the windows of a deployment come from the policy's source."""
    has_source = in_force.policy.data.source_name is not None
    return has_source and first_logged(session, in_force.model_id, ORIGIN) is None


def must_wait(session: WriteSession, in_force: PolicyInForce, window: Interval) -> bool:
    """Have a closed window's rows read from the source; whether the window is to wait for that."""
    place = (in_force.model_id, in_force.environment)
    key = f"{KIND}:{place[0]}:{place[1]}:{window.start.isoformat()}"
    if not is_read(session, in_force) or policies.has_ended(session, key):
        return False
    payload = {
        "model_id": place[0],
        "environment": place[1],
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
    }
    jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=PRIORITY)
    return True


def perform(attempt: Attempt) -> None:
    """Read the window that the job names, and once more the one that is mature by now."""
    payload: dict[str, Any] = dict(attempt.lease.payload)
    place = (int(payload["model_id"]), str(payload["environment"]))
    window = Interval(*(datetime.fromisoformat(payload[side]) for side in ("start", "end")))
    with attempt.database.reading() as session:
        watched = _find(session, place)
    if watched is None:
        return
    older = -(-watched.data.label_delay // window.length) * window.length
    _read(attempt, watched, window, again=False)
    _read(attempt, watched, Interval(window.start - older, window.end - older), again=True)


def _find(session: ReadSession, place: Place) -> _Watched | None:
    in_force, serving = policy_in_force(session, *place), find_serving(session, *place)
    contract = None if serving is None else serving.contract
    bins = None if contract is None else profiles.find_bins(session, contract)
    if in_force is None or contract is None or bins is None or not is_read(session, in_force):
        return None
    return _Watched(
        policies.model_of(session, place[0]), place, in_force.policy.data, contract, bins
    )


def _read(attempt: Attempt, watched: _Watched, window: Interval, *, again: bool) -> None:
    """Profile the rows of a window, and write them down with how many they are."""
    with attempt.database.reading() as session:
        before = readings.find_reading(session, watched.place, MONITOR, window)
    if again and before is None:  # it was over before this policy came
        return
    taken = _profile(attempt, watched, window)
    now = attempt.clock.now()
    with attempt.effect() as session:
        feedback.lock_model(session, watched.place[0])
        if taken.because is None:
            _keep(session, watched, window, taken.hours, now)
        found = _reading(watched, window, taken)
        readings.write_readings(session, watched.place, [found], now=now)
        watching.watch(session, watched.place, [window], now=now, again=again)


def _profile(attempt: Attempt, watched: _Watched, window: Interval) -> _Taken:
    """Read a window; errors that another try would meet again are its answer."""
    hours: dict[datetime, Profile] = {}
    rows = 0
    try:
        source = freeze_source(
            attempt.sources, watched.model, watched.data, window, now=attempt.clock.now()
        )
        body = SnapshotBody.of_source(watched.model.name, source, window, ()) if source else None
        columns = [TIME, VERSION, SCORE, *watched.bins.features]
        for table in iterate_rows(attempt.sources, watched.model, body, columns) if body else ():
            attempt.check()
            rows += table.num_rows
            if rows > MAX_ROWS:
                return _Taken({}, rows, f"the window has more than {MAX_ROWS:,} rows")
            for hour in profile_hours(table, watched.bins) if table.num_rows else ():
                known = hours.get(hour.start)
                hours[hour.start] = hour.profile if known is None else merge(known, hour.profile)
    except (InvalidError, NotFoundError, NotAllowedError, RefusedError) as error:
        return _Taken({}, 0, str(error))
    return _Taken(hours, rows)


def _keep(
    session: WriteSession,
    watched: _Watched,
    window: Interval,
    hours: dict[datetime, Profile],
    now: datetime,
) -> None:
    """Write the hours of a window over what was there, where they are others."""
    log = (watched.place[0], watched.contract)
    stored = profiles.window_profiles(session, *log, window.start, window.end)
    known = {one.start: one.profile for one in stored if one.version == NO_VERSION}
    gone = {start: empty_profile(watched.bins) for start in known if start not in hours}
    changed = [
        HourProfile(start, NO_VERSION, profile)
        for start, profile in sorted({**gone, **hours}.items())
        if start not in known or known[start].to_bytes() != profile.to_bytes()
    ]
    if changed:
        starts = [hour.start for hour in changed]
        profiles.write_hours(session, log, changed)
        roll_up_anew(session, log, watched.bins, starts)
        late_hours.note(session, log[0], starts, now)


def _reading(watched: _Watched, window: Interval, taken: _Taken) -> WindowReading:
    name = watched.data.source_name
    evidence: dict[str, Any] = {"source": "" if name is None else name.spelt[:MAX_SHOWN]}
    if taken.because is not None:
        evidence["because"] = taken.because
    return WindowReading(
        MONITOR,
        EVERYTHING,
        window.start,
        window.end,
        None if taken.because else float(taken.rows),
        taken.rows,
        "empty" if taken.because else "final",
        verdict="unusual" if taken.because else "normal",
        evidence=evidence,
    )


HANDLER = Handler(perform, alert_if_dead)
