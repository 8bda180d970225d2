"""Jobs that nobody can take: they wait for a worker with a label, of a newer mlreg, or for any.

What always holds: what nobody can take stays as it is, and is no failure. Once it has been so for
five minutes it is told: in the log, and in an incident of the deployment that the job is for. A job
is told once; of one deployment at most one such incident is open, and it is closed once every job
of it can be taken.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mlreg.controller.domain.stranded import Wanted, Worker, why_stranded
from mlreg.controller.services.incidents import Alarm, add_entry, close_incident, open_incident
from mlreg.controller.store import members as rows
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping

    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

KIND = "stranded_job"
AFTER_SECONDS = 300.0
EVERY_SECONDS = 30.0
MAX_JOBS = 100

log = logging.getLogger("mlreg.controller")


class Lookout:
    """Looks for such jobs, not more often than each half minute: it reads the whole queue."""

    def __init__(self, database: Database, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._seconds = every_seconds
        self._last = float("-inf")

    def look(self, clock: Clock) -> None:
        """Look if it is time; an outage of the database is waited out."""
        if time.monotonic() - self._last < self._seconds:
            return
        self._last = time.monotonic()
        try:
            look(self._database, now=clock.now())
        except (RegistryError, SQLAlchemyError) as error:
            log.warning("no look at what waits: %s", str(error).splitlines()[0])


def look(database: Database, *, now: datetime, after_seconds: float = AFTER_SECONDS) -> None:
    """Tell of the jobs that nobody can take for so long (real time), and of those that were.

    `now` is business time, for the incidents.
    """
    with database.reading() as session:
        stranded = rows.stranded_jobs(session, after_seconds, MAX_JOBS)
        untold = [one for one in stranded if not rows.is_told(session, KIND, one["id"])]
        workers = _workers(session)
        places = {_place(one) for one in stranded}
        over = [one for one in rows.open_incidents(session, KIND) if _place(one) not in places]
    if not untold and not over:
        return
    with database.writing() as session:
        for job in untold:
            _tell(session, job, workers, now)
        for incident in over:
            line = "every job of it can be taken"
            close_incident(session, incident["id"], line, actor=SYSTEM, now=now)


def count_stranded(session: ReadSession, seconds: float) -> int:
    """Count the jobs for a deployment that nobody can take, for so long, up to a hundred."""
    return len(rows.stranded_jobs(session, seconds, MAX_JOBS))


def why_all_wait(session: ReadSession) -> str | None:
    """Return why nobody can take any of the jobs there are; None: one runs, or somebody can."""
    first = rows.find_first_job(session)
    if first is None or first["runs"] or first["takable"]:
        return None
    wanted = Wanted(first["id"], first["kind"], first["label"])
    why = why_stranded(_workers(session), wanted)
    if why is None:  # a worker has come meanwhile
        return None
    what = f"job {first['id']} ({first['kind']})"
    if first["worker"] is not None:
        return f"{what} was lost with worker {first['worker']} and is taken by nobody else: {why}"
    return f"{what} is taken by nobody: {why}"


def what_runs(session: ReadSession) -> str | None:
    """Return the first of the jobs that run, and where; None: none does."""
    found = rows.find_first_job(session)
    if found is None or not found["runs"]:
        return None
    return f"job {found['id']} ({found['kind']}) runs on worker {found['worker']}"


def find_obstacles(session: ReadSession, wanted: Sequence[Wanted]) -> Mapping[int, str]:
    """Return, by job, why nobody can take it at present; nothing of those that somebody can."""
    if not wanted:
        return {}
    workers = _workers(session)
    found = {one.job_id: why_stranded(workers, one) for one in wanted}
    return {job_id: why for job_id, why in found.items() if why is not None}


def _workers(session: ReadSession) -> list[Worker]:
    return [
        Worker(frozenset(one["labels"]), frozenset(one["kinds"]), frozenset(one["declined"]))
        for one in rows.workers_there(session)
    ]


def _place(row: RowMapping) -> tuple[int, str]:
    return row["model_id"], row["environment"]


def _tell(session: WriteSession, job: RowMapping, workers: Sequence[Worker], now: datetime) -> None:
    why = why_stranded(workers, Wanted(job["id"], job["kind"], job["label"]))
    if why is None:  # a worker has come meanwhile
        return
    line = f"job {job['id']} ({job['kind']}) is taken by nobody: {why}"
    log.error("JOB STRANDED: %s", line)
    evidence = {"job": job["id"], "kind": job["kind"], "label": job["label"]}
    number = rows.find_open_incident(session, KIND, _place(job))
    if number is not None:
        add_entry(session, number, line, evidence=evidence, actor=SYSTEM, now=now)
        return
    alarm = Alarm(
        model_id=job["model_id"],
        environment=job["environment"],
        kind=KIND,
        title=f"work is not done: {why}",
        line=line,
        evidence=evidence,
    )
    open_incident(session, alarm, actor=SYSTEM, now=now)
