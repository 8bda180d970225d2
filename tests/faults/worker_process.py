"""A real worker with job kinds of the tests, for a process of its own: no test itself."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

from sqlalchemy import text

from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Handler
from mlreg.controller.services.work import WorkerSettings, run_worker
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database


def count(attempt):
    """Take a while, then do the one effect that the tests count.

    Where the first attempt is to meet its end, it waits until it is told to go on, or killed.
    """
    folder = attempt.folder.parent  # the worker's own goes with it
    (folder / f"started-{attempt.lease.job_id}-{attempt.lease.attempt}").touch()
    time.sleep(float(attempt.lease.payload.get("seconds", 0)))
    if attempt.lease.payload.get("first_waits") and attempt.lease.attempt == 1:
        while not (folder / "go-on").exists():
            time.sleep(0.01)
    with attempt.finish() as session:
        session.execute(
            text("INSERT INTO effect (job_id, attempt) VALUES (:job, :attempt)"),
            {"job": attempt.lease.job_id, "attempt": attempt.lease.attempt},
        )


def poison(attempt):
    """End the worker once another job has begun beside this one, or nothing else comes."""
    folder = attempt.folder.parent
    before = set(folder.glob("started-*"))
    deadline = time.monotonic() + float(attempt.lease.payload.get("seconds", 0))
    while time.monotonic() < deadline and set(folder.glob("started-*")) == before:
        time.sleep(0.01)
    os._exit(66)


def main(url, folder, lease_seconds):
    logging.basicConfig(level=logging.INFO, filename=folder / "log", force=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = WorkerSettings(
        name=f"test:{os.getpid()}",
        folder=Path(folder),
        lease_seconds=float(lease_seconds),
        slots=2,
        grace_seconds=5,
    )
    handlers = {"count": Handler(count), "poison": Handler(poison, alert_if_dead)}
    run_worker(Database(url), None, SystemClock(), settings, stop, handlers)
