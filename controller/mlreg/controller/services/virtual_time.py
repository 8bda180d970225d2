"""Virtual time: it moves only when it is advanced, from one due moment to the next.

What always holds: time never goes back; at every step everything that is due is done, and nothing
is queued or running, before time goes on; one advance at a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import select

from mlreg.controller.services import jobs
from mlreg.controller.services.stranding import what_runs, why_all_wait
from mlreg.controller.services.tick import tick
from mlreg.controller.store import policies as rows
from mlreg.controller.store.installation import get_installation
from mlreg.registry.domain.actor import SYSTEM, Actor
from mlreg.registry.domain.errors import InvalidError, RefusedError, UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.store.clock import NoVirtualClockError, virtual_now
from mlreg.registry.store.tables import Installation

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import Database, ReadSession

SHORTEST_POLL_SECONDS = 0.004
LONGEST_POLL_SECONDS = 0.04
PATIENCE_SECONDS = 600.0
STRANDED_SECONDS = 20.0
"""What nobody can take for so long waits in vain: a worker that is started anew takes less."""
STRANDED_LOOK_SECONDS = 1.0
MAX_ROUNDS = 50
IDLE_LOOKS = 2  # the scheduler ticks too: its job may begin and end between our two looks
PRODUCTION = "production"
_LOCK = text("SELECT pg_try_advisory_lock(727401)")
_UNLOCK = text("SELECT pg_advisory_unlock(727401)")


class VirtualInProductionError(RefusedError):
    """Production lives in real time."""

    code = "virtual_in_production"

    def __init__(self) -> None:
        super().__init__("the clock cannot be moved in production mode")


class TimeGoesForwardError(InvalidError):
    """Time was to go back, or has no zone."""

    code = "time_goes_forward"

    def __init__(self, *, now: datetime, to: datetime) -> None:
        super().__init__(f"it is {now.isoformat()} already; {to.isoformat()} is not after it")


class AdvancingAlreadyError(RefusedError):
    """Somebody else moves the clock at this moment."""

    code = "advancing_already"
    hint = "Wait for the other advance to return."

    def __init__(self) -> None:
        super().__init__("the clock is being advanced by another call")


class StillWorkingError(UnavailableError):
    """Jobs that were due did not end."""

    code = "still_working"
    hint = "Is a worker running? `mlreg run list` shows what waits."

    def __init__(self, *, open_jobs: int, seconds: float, first: str | None) -> None:
        what = "" if first is None else f": {first}"
        super().__init__(f"{open_jobs} jobs did not end within {seconds:.0f} seconds{what}")


class NobodyWorksError(UnavailableError):
    """Jobs are due that no worker can take."""

    code = "nobody_works"
    hint = "Start a worker that can (`mlreg work --labels NAME`), or cancel the run; then go on."

    def __init__(self, *, now: datetime, why: str) -> None:
        super().__init__(f"time stands still at {now.isoformat()}: {why}")


def read_clock(session: ReadSession) -> tuple[datetime | None, bool]:
    """Return the virtual moment (None in real time), and whether time was ever virtual."""
    row = get_installation(session)
    return row.virtual_now, row.ever_virtual


def advance(
    database: Database,
    to: datetime,
    *,
    actor: Actor = SYSTEM,
    patience_seconds: float = PATIENCE_SECONDS,
) -> datetime:
    """Move virtual time to a moment, doing all that becomes due on the way; return the new now.

    Raises:
        NoVirtualClockError: the installation lives in real time.
        VirtualInProductionError: it is in production mode.
        TimeGoesForwardError: the moment lies in the past.
        AdvancingAlreadyError: another call moves the clock.
        NobodyWorksError: what is due is nobody's to do: no worker is there that could.
        StillWorkingError: jobs did not end within the patience.
    """
    _check(database, to)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as alone:
        if not alone.execute(_LOCK).scalar_one():
            raise AdvancingAlreadyError
        try:
            _write_down(database, to, actor)
            return _walk(database, to, patience_seconds)
        finally:
            alone.execute(_UNLOCK)


def settle(
    database: Database, now: datetime, *, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Do everything that is due by `now`, and wait until nothing is queued or running.

    Raises:
        NobodyWorksError: there is no worker for any of them.
        StillWorkingError: jobs did not end within the patience.
    """
    await_idle(database, patience_seconds)
    idle = 0
    for _ in range(MAX_ROUNDS):
        report = tick(database, now=now)
        idle = idle + 1 if report.is_idle and not _open_jobs(database) else 0
        if idle == IDLE_LOOKS:
            return
        await_idle(database, patience_seconds)


def await_idle(database: Database, patience_seconds: float) -> None:
    """Return once no job is queued or running (real time passes, not virtual).

    Raises:
        NobodyWorksError: there is no worker for any of them.
        StillWorkingError: the patience is at its end.
    """
    until = time.monotonic() + patience_seconds
    pause = SHORTEST_POLL_SECONDS
    lookout = _Lookout(database)
    while open_jobs := _open_jobs(database):
        if time.monotonic() > until:
            with database.reading() as session:
                first = what_runs(session)
            raise StillWorkingError(open_jobs=open_jobs, seconds=patience_seconds, first=first)
        lookout.look()
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_POLL_SECONDS)


class _Lookout:
    """Notices when nobody can take any job; looks at them each second, not at each poll."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at = self._could_at = time.monotonic()

    def look(self) -> None:
        """Raise once it has been so for long.

        Raises:
            NobodyWorksError: it has.
        """
        now_seconds = time.monotonic()
        if now_seconds - self._looked_at < STRANDED_LOOK_SECONDS:
            return
        self._looked_at = now_seconds
        with self._database.reading() as session:
            why = why_all_wait(session)
            if why is None:
                self._could_at = now_seconds
            elif now_seconds - self._could_at >= STRANDED_SECONDS:
                raise NobodyWorksError(now=virtual_now(session), why=why)


def _open_jobs(database: Database) -> int:
    with database.reading() as session:
        return jobs.count_open(session)


def _check(database: Database, to: datetime) -> None:
    with database.reading() as session:
        installation = get_installation(session)
        if installation.mode == PRODUCTION:
            raise VirtualInProductionError
        now = virtual_now(session)
    if to.tzinfo is None or to < now:
        raise TimeGoesForwardError(now=now, to=to)


def _write_down(database: Database, to: datetime, actor: Actor) -> None:
    """Say in the audit log who moves the clock, before it moves: a walk may end on the way."""
    with database.writing() as session:
        now = virtual_now(session)
        body = {"from": now.isoformat(), "to": to.isoformat()}
        audit.record(
            session, action="clock.advance", subject="clock", actor=actor, body=body, now=now
        )


def _walk(database: Database, to: datetime, patience_seconds: float) -> datetime:
    with database.reading() as session:
        now = virtual_now(session)
    settle(database, now, patience_seconds=patience_seconds)
    while now < to:
        with database.reading() as session:
            moments = [rows.next_due(session, now), jobs.next_held(session, now)]
        now = min(moment for moment in (*moments, to) if moment is not None)
        _set(database, now)
        settle(database, now, patience_seconds=patience_seconds)
    return now


def _set(database: Database, now: datetime) -> None:
    with database.writing() as session:
        row = session.exec(select(Installation).with_for_update()).one()
        if row.virtual_now is None:
            raise NoVirtualClockError
        row.virtual_now = max(row.virtual_now, now)
        session.add(row)
