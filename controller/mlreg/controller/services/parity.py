"""Parity of a version: logged predictions scored again offline, and features held against a table.

What always holds: it is a job, of a bounded sample of the rows that the version scored; the model's
file is parsed and scored in a child with limits, never here; what was logged is never changed. The
readings are `parity` (the share of rows whose score is another offline) and, with an offline table,
`skew` by feature (the share of rows whose value is another offline).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.snapshots import asked_range
from mlreg.controller.domain.windows import DAY, Interval, window_of
from mlreg.controller.services import draining, jobs, watching
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.labelled_rows import shape_of
from mlreg.controller.services.logged_rows import select_rows
from mlreg.controller.services.losses import check_still_there
from mlreg.controller.services.replaying import Replay, replay
from mlreg.controller.services.run_folder import get_source, open_folder
from mlreg.controller.store import readings
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.services.run_folder import ModelSource
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model

KIND = "parity"
PRIORITY = 90
ROWS = 20_000
DAILY_ROWS = 2_000
TOLERANCE = 1e-6


class ParityNotFoundError(NotFoundError):
    """There is no check of parity of that number."""

    code = "parity_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no check of parity {number}")


class NothingToReplayError(RefusedError):
    """There is no version to replay, or none of its rows was logged with a score."""

    code = "nothing_to_replay"
    hint = "Log predictions with their version and score, and look at a window that has some."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"nothing to replay: {cause}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed: a version (the champion), a window (yesterday), how many rows.

    Attributes:
        offline: the digest of an uploaded Parquet table of features by prediction id.
        daily: nobody asked: where there is nothing to replay, that is no failure.
    """

    environment: str = "production"
    version: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    rows: int = ROWS
    tolerance: float = TOLERANCE
    offline: str | None = None
    seed: int = 0
    daily: bool = False


@dataclass(frozen=True, slots=True)
class Parity:
    """A check of parity that was asked for, and what became of it."""

    number: int
    model_id: int
    state: str
    error: str | None
    found: dict[str, Any] | None


def request_parity(
    session: WriteSession, model: Model, asked: Asked, *, actor: Actor, now: datetime
) -> int:
    """Ask for logged predictions to be replayed; return the number of the check.

    Raises:
        EnvironmentNotFoundError: it is not declared.
        NothingToReplayError: nothing serves.
        VersionNotFoundError: there is no such version.
        NotLoadableError: mlreg cannot score it.
        InvalidSnapshotError: the window is none.
    """
    catalog.check_environment(session, asked.environment)
    version = _version(session, model, asked)
    number = enqueue_parity(session, catalog.id_of(model), version, asked, now)
    audit.record(
        session,
        action="parity.request",
        subject=f"model:{model.name}",
        actor=actor,
        body={"parity": number, "version": version, "environment": asked.environment},
        now=now,
    )
    return number or 0


def enqueue_parity(
    session: WriteSession, model_id: int, version: int, asked: Asked, now: datetime
) -> int | None:
    """Have a version replayed; None where that is asked for daily, and asked already."""
    window = _window(asked, now)
    payload = {
        "model_id": model_id,
        "environment": asked.environment,
        "version": version,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "rows": asked.rows,
        "tolerance": asked.tolerance,
        "offline": asked.offline,
        "seed": asked.seed,
        "daily": asked.daily,
    }
    key = f"{KIND}:{model_id}:{asked.environment}" if asked.daily else None
    return jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=PRIORITY)


def get_parity(session: ReadSession, number: int) -> Parity:
    """Return a check of parity.

    Raises:
        ParityNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise ParityNotFoundError(number=number)
    return Parity(number, job.payload["model_id"], job.state, job.error, job.outcome)


def perform(attempt: Attempt) -> None:
    """Replay what the job names, and write its readings."""
    payload: Mapping[str, Any] = attempt.lease.payload
    window = Interval(*(datetime.fromisoformat(payload[side]) for side in ("start", "end")))
    now = attempt.clock.now()
    draining.drain_model(attempt.database, attempt.store, payload["model_id"], now=now)
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
        source = _source(session, model, payload["version"])
        body = select_rows(session, model, window, window.end)
        serving = find_serving(session, payload["model_id"], payload["environment"])
    asked = Replay(
        source,
        body,
        payload["rows"],
        payload["seed"],
        payload["tolerance"],
        payload["offline"],
        shape_of(model, ()).classes if model.task == "multiclass" else 1,
    )
    with open_folder(attempt, f"parity-{attempt.lease.job_id}") as folder:
        found = replay(attempt, folder, asked)
    if found is None and not payload["daily"]:
        cause = f"no row of this window names version {source.number} and has a score"
        raise NothingToReplayError(cause=cause)
    failpoint("parity_replayed")
    with attempt.finish() as session:
        check_still_there(session, payload["model_id"], [body])
        if found is not None:
            place = (payload["model_id"], payload["environment"])
            is_champion = serving is not None and serving.champion == source.number
            subject = "" if is_champion else f"version={source.number}"
            readings.write_readings(session, place, found.readings(window, subject), now=now)
            watching.watch(session, place, [window], now=now)
        said = {"rows": 0} if found is None else found.to_json()
        sides = {"start": payload["start"], "end": payload["end"]}
        attempt.outcome = {"version": source.number, **sides, **said}


def _version(session: ReadSession, model: Model, asked: Asked) -> int:
    """Return the version to be replayed, which can be."""
    number = asked.version
    if number is None:
        serving = find_serving(session, catalog.id_of(model), asked.environment)
        if serving is None:
            raise NothingToReplayError(cause=f"nothing serves {model.name} in {asked.environment}")
        number = serving.champion
    return _source(session, model, number).number


def _source(session: ReadSession, model: Model, number: int) -> ModelSource:
    return get_source(session, catalog.get_version(session, model, number))


def _window(asked: Asked, now: datetime) -> Interval:
    if asked.start is None:
        return window_of(now - DAY, DAY)
    return asked_range(asked.start, asked.end or asked.start + DAY)


HANDLER = Handler(perform, alert_if_dead)
