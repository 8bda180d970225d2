"""Controllers in processes of their own for the fault tests, and who of them leads when."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text

from mlreg.controller.scheduler import ControllerSettings, run_scheduler
from mlreg.registry.store.database import Database
from tests.faults.fast_clock import clock_of
from tests.faults.host_clock import go_wrong
from tests.faults.workers import PATIENCE_SECONDS, await_true

LOOK_SECONDS = 0.03  # from one look to the next, where the machine has time for it


@dataclass(frozen=True)
class Plan:
    """What a controller of the tests is told."""

    url: str
    name: str
    ttl_seconds: float
    clock: str = "real"


class Controller:
    """A real controller in a fork of this process: to import all of it anew takes two seconds."""

    def __init__(self, plan, folder, host_clock=None):
        self.plan, self.folder, self._host_clock = plan, folder, host_clock
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._live()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _live(self):
        code = 1
        try:
            self._control()
            code = 0
        finally:
            os._exit(code)

    def _control(self):
        plan = self.plan
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        logging.basicConfig(
            filename=self.folder / f"{plan.name}.log", level=logging.INFO, force=True
        )
        if self._host_clock is not None:
            go_wrong(self._host_clock)
        database = Database(plan.url, pool_size=4, idle_seconds=plan.ttl_seconds)
        settings = ControllerSettings(plan.name, ttl_seconds=plan.ttl_seconds)
        run_scheduler(database, clock_of(database, plan.clock), stop, settings)


@contextmanager
def controller(plan, folder, host_clock=None):
    process = Controller(plan, folder, host_clock)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Reigned:
    """A holder that was seen to lead in an epoch, first at this moment (monotonic)."""

    epoch: int
    holder: str
    at: float


class Watch:
    """Looks again and again who leads, and how long the machine keeps it from looking.

    A look waits for no lock: what it is held up by is the machine, which holds up the controllers
    as well.
    """

    def __init__(self, database):
        self._database = database
        self.seen: list[Reigned] = []
        self.ticks = 0
        self.held_up = 0.0
        self._ticked_at = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    @property
    def leader(self):
        return self.seen[-1].holder if self.seen else None

    def await_other(self, holder, seconds=PATIENCE_SECONDS):
        """Wait until another one leads; return when that was first seen."""
        await_true(lambda: self.leader not in {None, holder}, seconds)
        return self.seen[-1].at

    def await_ticks(self, count, seconds=PATIENCE_SECONDS):
        wanted = self.ticks + count
        await_true(lambda: self.ticks >= wanted, seconds)

    def _run(self):
        query = text("SELECT epoch, holder, ticked_at FROM leader WHERE until >= clock_timestamp()")
        looked = time.monotonic()
        while not self._stop.wait(0.01):
            pause, looked = time.monotonic() - looked, time.monotonic()
            self.held_up += max(0.0, pause - LOOK_SECONDS)
            with self._database.reading() as session:
                row = session.execute(query).one_or_none()
            if row is None:
                continue
            if not self.seen or self.seen[-1].epoch != row.epoch:
                self.seen.append(Reigned(row.epoch, row.holder, time.monotonic()))
            if row.ticked_at != self._ticked_at:
                self._ticked_at, self.ticks = row.ticked_at, self.ticks + 1
