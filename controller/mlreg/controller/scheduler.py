"""The clock, and nothing but the clock: APScheduler calls `beat` at a fixed interval.

What always holds: the jobs live in memory and in UTC; beats that were missed come as one; a beat is
never dropped for being late. What is due, and when it was due, stands in PostgreSQL alone.
"""

from __future__ import annotations

import logging
import secrets
import socket
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from mlreg.controller.services import leadership
from mlreg.controller.services.chores import enqueue_due
from mlreg.controller.services.tick import tick
from mlreg.registry.domain.errors import RegistryError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mlreg.controller.services.heartbeat import Heartbeat
    from mlreg.registry.domain.clock import Clock
    from mlreg.registry.store.database import Database

TICK_SECONDS = 2.0

log = logging.getLogger("mlreg.controller")


def run_scheduler(
    database: Database,
    clock: Clock,
    stop: threading.Event,
    *,
    tick_seconds: float = TICK_SECONDS,
    heartbeat: Heartbeat | None = None,
) -> None:
    """Tick while this controller leads, until `stop` is set; `heartbeat` is called meanwhile."""
    holder = f"{socket.gethostname()}:{secrets.token_hex(4)}"

    def tick_once() -> None:
        if beat(database, clock, holder) and heartbeat is not None:
            heartbeat.beat()

    every(tick_seconds, tick_once, stop)
    try:
        leadership.give_back(database, holder)
    except RegistryError as error:
        log.warning("the leadership is left to run out: %s", error)


def beat(database: Database, clock: Clock, holder: str) -> bool:
    """Tick once, if this controller leads; an outage of the database is waited out.

    True when it has ticked.
    """
    try:
        if leadership.take_leadership(database, holder) is None:
            return False
        report = tick(database, now=clock.now())
        enqueue_due(database)
        leadership.note_tick(database)
    except (RegistryError, SQLAlchemyError) as error:
        log.warning("no tick: %s", str(error).splitlines()[0])
        return False
    for fired in report.firings:
        log.info("fired (%s): %s", ", ".join(fired.triggers), fired.outcome)
    return True


def every(seconds: float, do: Callable[[], None], stop: threading.Event) -> None:
    """Call `do` at once and then every so many seconds, never twice at a time, until `stop`."""
    scheduler = BackgroundScheduler(
        jobstores={"default": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(1)},
        timezone="UTC",
    )
    scheduler.add_job(
        do, "interval", seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None
    )
    scheduler.start()
    try:
        do()
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)
