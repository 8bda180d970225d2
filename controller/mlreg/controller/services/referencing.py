"""What a new champion lacks before its windows can be read: bins, a reference, profiled hours.

A version that a run trained brings all of it. One that was registered by hand has none: its
reference is made of the snapshot that its registration names or, where none can be read, of what
was logged in the last four weeks; and hours that were logged before its contract had bins are
profiled from their segments, back as far as histories reach. A reference of the time before label
profiles gets one, of its snapshot alone: what was logged later are not the labels of its training.

What always holds: it is one job per promotion, however it ends; windows wait for it, for without it
they would be read as empty (for label profiles, by a job of their own, nothing waits). A day's
hours are written anew as a whole, under the model's lock, and only if no segment of that day came
or went since they were read; so every row is counted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlreg.controller.domain.batches import LABEL, SCORE, SCORES, TIME, VERSION
from mlreg.controller.domain.season import LOOK_BACK
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import DAY, HOUR, Interval, window_of
from mlreg.controller.feedback.columns import HourProfile, profile_hours, profile_table
from mlreg.controller.feedback.joins import between
from mlreg.controller.feedback.segments import read_segments
from mlreg.controller.services import draining, jobs, logged_rows, profiles, snapshot_rows
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.label_drift import training_labels
from mlreg.controller.services.rollups import roll_up_anew
from mlreg.controller.services.snapshots import SnapshotNotFoundError, get_snapshot
from mlreg.controller.store import feedback, policies
from mlreg.controller.store import profiles as rows_of
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model, Version

if TYPE_CHECKING:
    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.services.profiles import Source
    from mlreg.controller.store.serving import Serving
    from mlreg.registry.store.database import ReadSession, WriteSession

    Place = tuple[int, str]
    """A model's id and an environment."""

KIND = "profile"
SAMPLE_ROWS = 200_000
MAX_ROWS = 20_000_000
"""Of the log that are profiled once more, the newest days first."""
FIRST_ROWS = 28 * DAY


class LogChangedError(UnavailableError):
    """The segments of a day changed again and again while it was profiled; try again."""

    code = "log_changed"

    def __init__(self, *, day: datetime) -> None:
        super().__init__(f"segments of {day:%Y-%m-%d} came or went while it was profiled")


@dataclass(frozen=True, slots=True)
class _Champion:
    """What serves, and what it was trained on."""

    model: Model
    version: int
    contract: FeatureContract
    snapshots: tuple[SnapshotBody, ...]


def enqueue_if_needed(session: WriteSession, place: Place, serving: Serving) -> bool:
    """Have a champion's profiles made where it lacks any; whether windows are to wait for that."""
    key = f"{KIND}:{place[0]}:{place[1]}:{serving.champion}:{serving.promoted_at.isoformat()}"
    if serving.contract is None:
        return False
    reference = rows_of.find_reference(session, place[0], serving.champion)
    if reference is not None and reference.labels is None:
        _enqueue_labels(session, place, serving, f"{key}:labels")
    if not _lacks(session, place[0], serving):
        return False
    if policies.has_ended(session, key):
        return False
    payload = {"model_id": place[0], "environment": place[1]}
    jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=15)
    return True


def _enqueue_labels(session: WriteSession, place: Place, serving: Serving, key: str) -> None:
    """Have the training labels of a reference profiled, unless none can be, or it was tried."""
    version = session.get(Version, (place[0], serving.champion))
    if version is not None and version.snapshots and not policies.has_ended(session, key):
        payload = {"model_id": place[0], "environment": place[1], "labels": True}
        jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=25)


def perform(attempt: Attempt) -> None:
    """Make the profiles that the champion lacks."""
    payload: dict[str, Any] = dict(attempt.lease.payload)
    place, now = (payload["model_id"], payload["environment"]), attempt.clock.now()
    if payload.get("labels"):
        _add_labels(attempt, place)
        return
    draining.drain_model(attempt.database, attempt.store, place[0], now=now)
    with attempt.database.reading() as session:
        champion = _champion(session, place)
    if champion is not None and _make_reference(attempt, champion, now):
        _fill_hours(attempt, champion, now)
    if not attempt.finished:
        with attempt.finish():
            pass


def _lacks(session: ReadSession, model_id: int, serving: Serving) -> bool:
    if rows_of.find_reference(session, model_id, serving.champion) is None:
        return True
    logged = rows_of.first_logged(session, model_id, serving.promoted_at - LOOK_BACK)
    oldest = rows_of.oldest_hour(session, (model_id, serving.contract or ""))
    return lacks_hours(logged, serving.promoted_at, oldest)


def lacks_hours(logged: datetime | None, now: datetime, oldest: datetime | None) -> bool:
    """Say whether hours that a history reaches back to are without a profile.

    Args:
        logged: the first prediction that was logged since then, or earlier.
        now: from when the history reaches back.
        oldest: the start of the oldest hour that has a profile.
    """
    if logged is None:
        return False
    return oldest is None or oldest > window_of(max(logged, now - LOOK_BACK), HOUR).start


def _earliest(session: ReadSession, model_id: int, now: datetime) -> datetime | None:
    """Return the first logged hour that a history reaches back to; None if nothing is logged."""
    first = rows_of.first_logged(session, model_id, now - LOOK_BACK)
    return None if first is None else window_of(first, HOUR).start


def _champion(session: ReadSession, place: Place) -> _Champion | None:
    serving = find_serving(session, *place)
    if serving is None:
        return None
    model = policies.model_of(session, place[0])
    version = catalog.get_version(session, model, serving.champion)
    contract = catalog.find_feature_contract(session, version)
    if contract is None:
        return None
    bodies = []
    for digest in version.snapshots or ():
        try:
            bodies.append(get_snapshot(session, digest).body)
        except SnapshotNotFoundError:
            continue
    return _Champion(model, version.number, contract, tuple(bodies))


def _make_reference(attempt: Attempt, champion: _Champion, now: datetime) -> bool:
    """Make bins and a reference where they lack; whether there are bins now."""
    model_id, digest = catalog.id_of(champion.model), champion.contract.digest
    with attempt.database.reading() as session:
        if profiles.find_reference(session, model_id, champion.version) is not None:
            return True
    rows, source = _training_rows(attempt, champion, now)
    if rows is None or not rows.num_rows:
        return False
    with attempt.effect() as session:
        bins = profiles.ensure_bins(session, champion.contract, rows, now=now)
        seen = rows if source == "log" else rows.drop_columns([SCORE])
        profiles.store_reference(
            session,
            model_id,
            champion.version,
            digest,
            profile_table(seen, bins),
            labels=training_labels(champion.model, bins, _labels(rows)),
            source=source,
        )
    return True


def _add_labels(attempt: Attempt, place: Place) -> None:
    """Profile the labels that a reference's version was trained on, where they can be read."""
    with attempt.database.reading() as session:
        champion = _champion(session, place)
        found = champion and profiles.find_reference(session, place[0], champion.version)
    rows = champion and _snapshot_rows(attempt, champion, [TIME, LABEL])
    if champion is None or not found or rows is None:
        return
    labels = _labels(rows)
    if np.isfinite(labels).any():
        with attempt.effect() as session:
            body = training_labels(champion.model, found.bins, labels)
            rows_of.add_labels(session, place[0], champion.version, body)


def _training_rows(
    attempt: Attempt, champion: _Champion, now: datetime
) -> tuple[pa.Table | None, Source]:
    """Return rows of the snapshot that the version names, else the last logged ones."""
    columns = [TIME, SCORE, LABEL, *champion.contract.names]
    found = _snapshot_rows(attempt, champion, columns)
    if found is not None:
        return found, "snapshot"
    with attempt.database.reading() as session:
        body = logged_rows.select_rows(
            session, champion.model, Interval(now - FIRST_ROWS, now), now
        )
    scores = [SCORES] if champion.model.task == "multiclass" else []
    wanted = [*columns, *scores]
    return logged_rows.sample_rows(attempt.store, body, SAMPLE_ROWS, 0, wanted), "log"


def _snapshot_rows(attempt: Attempt, champion: _Champion, columns: list[str]) -> pa.Table | None:
    """Return rows of the first snapshot that has any and can be read."""
    for body in champion.snapshots:
        try:
            found = snapshot_rows.sample_rows(
                attempt.sources, champion.model, body, columns, limit=SAMPLE_ROWS, seed=0
            )
        except (NotFoundError, RefusedError, InvalidError):  # lost, erased, or no longer there
            continue
        if found is not None and found.num_rows:
            return found
    return None


def _labels(rows: pa.Table) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(rows[LABEL].cast("double").to_numpy())


def _fill_hours(attempt: Attempt, champion: _Champion, now: datetime) -> None:
    """Profile the days that were logged before the contract had bins, the newest first."""
    log = (catalog.id_of(champion.model), champion.contract.digest)
    with attempt.database.reading() as session:
        bins = profiles.find_bins(session, log[1])
        earliest = _earliest(session, log[0], now)
    if bins is None or earliest is None:
        return
    day, rows = window_of(now, DAY).start, 0
    while day > earliest - DAY and rows < MAX_ROWS:
        attempt.check()
        rows += _fill_day(attempt, log, bins, day)
        day -= DAY


def _fill_day(attempt: Attempt, log: tuple[int, str], bins: Bins, day: datetime) -> int:
    """Write the hours of a day anew, from all its segments; return their rows.

    Raises:
        LogChangedError: drains or compactions came in between, three times.
    """
    for _ in range(3):
        with attempt.database.reading() as session:
            digests = _segments(session, log[0], day)
        hours = _profile_day(attempt, bins, day, digests)
        if not hours:
            return 0
        with attempt.effect() as session:
            feedback.lock_model(session, log[0])
            if _segments(session, log[0], day) == digests:
                profiles.write_hours(session, log, hours)
                roll_up_anew(session, log, bins, [hour.start for hour in hours])
                return sum(hour.profile.rows for hour in hours)
    raise LogChangedError(day=day)


def _profile_day(
    attempt: Attempt, bins: Bins, day: datetime, digests: list[str]
) -> list[HourProfile]:
    span = Interval(day, day + DAY)
    columns = [TIME, VERSION, SCORE, SCORES, *bins.features]
    tables = read_segments(attempt.store, digests, columns, span)
    if not tables:
        return []
    rows = between(pa.concat_tables(tables, promote_options="default"), span)
    return profile_hours(rows, bins) if rows.num_rows else []


def _segments(session: ReadSession, model_id: int, day: datetime) -> list[str]:
    end = day + DAY - timedelta(microseconds=1)
    listed = feedback.list_segments(session, model_id, "predictions", day, end)
    return [one.digest for one in listed]


HANDLER = Handler(perform, alert_if_dead)
