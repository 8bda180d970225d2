"""The clock, and nothing but the clock: APScheduler calls `beat` at a fixed interval.

What always holds: the jobs live in memory and in UTC; beats that were missed come as one; a beat is
never dropped for being late, nor put off by the machine's clock being set back. What is due, and
when it was due, stands in PostgreSQL alone, and so does what time it is.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from mlreg.controller.services import leadership
from mlreg.controller.services.chores import enqueue_due
from mlreg.controller.services.leadership import TTL_SECONDS, Reign
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.services.stranding import Lookout
from mlreg.controller.services.tick import tick
from mlreg.controller.services.unjudged import Failing
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from apscheduler.job import Job

    from mlreg.controller.services.assessor import Assessor
    from mlreg.controller.services.heartbeat import Heartbeat
    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database

TICK_SECONDS = 2.0
BEATS_PER_TTL = 5
LATE_BEATS = 1.5

log = logging.getLogger("mlreg.controller")


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How one controller works.

    Attributes:
        name: of its leadership, e.g. `host:pid`; no two controllers have the same.
        ttl_seconds: a leader that says nothing for so long leads no longer.
        tick_seconds: between two beats.
    """

    name: str
    ttl_seconds: float = TTL_SECONDS
    tick_seconds: float = TICK_SECONDS

    @property
    def beat_seconds(self) -> float:
        """How often to beat: often enough that a standby takes over well within the lease."""
        return min(self.tick_seconds, self.ttl_seconds / BEATS_PER_TTL)


def run_scheduler(
    database: Database,
    clock: Clock,
    stop: threading.Event,
    settings: ControllerSettings,
    *,
    heartbeat: Heartbeat | None = None,
    assessor: Assessor | None = None,
) -> None:
    """Tick while this controller leads, until `stop` is set.

    `heartbeat` is called meanwhile; `assessor` judges a share of what is due, and is closed.
    """
    lookout, failing = Lookout(database), Failing()

    def tick_once() -> None:
        if not beat(database, clock, settings, stop, assessor, failing):
            return
        lookout.look(clock)
        if heartbeat is not None:
            heartbeat.beat()

    with Presence(database, Introduction(settings.name, "controller")):
        try:
            every(settings.beat_seconds, tick_once, stop)
        finally:
            if assessor is not None:
                assessor.close()
        try:
            leadership.give_back(database, settings.name)
        except (RegistryError, SQLAlchemyError) as error:
            log.warning("the leadership is left to run out: %s", str(error).splitlines()[0])


def beat(
    database: Database,
    clock: Clock,
    settings: ControllerSettings,
    stop: threading.Event | None = None,
    assessor: Assessor | None = None,
    failing: Failing | None = None,
) -> bool:
    """Tick once, if this controller leads; an outage of the database is waited out.

    True when it has ticked.
    """
    ttl_seconds = settings.ttl_seconds
    try:
        held = leadership.take_leadership(database, settings.name, ttl_seconds=ttl_seconds)
        if held is None:
            if failing is not None:
                failing.forget()
            return False
        reign = Reign(database, held, ttl_seconds, stop)
        report = tick(database, now=clock.now(), reign=reign, assessor=assessor, failing=failing)
        enqueue_due(database)
        leadership.note_tick(database)
    except leadership.LeadershipLostError as error:
        log.warning("the tick is broken off: %s", error)
        return False
    except (RegistryError, SQLAlchemyError) as error:
        log.warning("no tick: %s", str(error).splitlines()[0])
        return False
    for fired in report.firings:
        log.info("fired (%s): %s", ", ".join(fired.triggers), fired.outcome)
    return True


class _Clockwork:
    """Calls a function, and knows on a clock that nobody sets when it did so last."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._ended: float | None = None

    def __call__(self) -> None:
        self._ended = None
        try:
            self._do()
        finally:
            self._ended = time.monotonic()

    def is_late(self, seconds: float) -> bool:
        """Say whether nothing was called for so long."""
        return self._ended is not None and time.monotonic() - self._ended > seconds


def every(seconds: float, do: Callable[[], None], stop: threading.Event) -> None:
    """Call `do` at once and then every so many seconds, never twice at a time, until `stop`.

    APScheduler waits for a time of the machine's clock; when that is set back by an hour, it would
    wait for an hour. So the waiting is watched, and cut short.
    """
    scheduler = BackgroundScheduler(
        jobstores={"default": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(1)},
        timezone="UTC",
    )
    clockwork = _Clockwork(do)
    job = scheduler.add_job(
        clockwork,
        "interval",
        seconds=seconds,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )
    scheduler.start()
    try:
        clockwork()
        while not stop.wait(seconds / 2):
            if clockwork.is_late(LATE_BEATS * seconds):
                _set_off(job)
    finally:
        scheduler.shutdown(wait=True)


def _set_off(job: Job) -> None:
    job.modify(next_run_time=datetime.now(UTC))  # noqa: TID251 - APScheduler's own clock
