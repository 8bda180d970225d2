"""A real worker process with mlreg's own job kinds; not a test itself.

Usage: run_process.py DATABASE_URL FOLDER STORE_FOLDER LEASE_SECONDS CLOCK

CLOCK is a moment at which time stands still, or a clock as `fast_clock.py` spells them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from mlreg.controller.services.work import WorkerSettings, run_worker
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.store.database import Database

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.faults.fast_clock import clock_of


class FixedClock:
    def __init__(self, moment):
        self._moment = datetime.fromisoformat(moment)

    def now(self):
        return self._moment


def main(url, folder, store, lease_seconds, now):
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = WorkerSettings(
        name=f"run:{os.getpid()}", folder=Path(folder), lease_seconds=float(lease_seconds)
    )
    database = Database(url)
    clock = clock_of(database, now) if "," in now else FixedClock(now)
    run_worker(database, FolderStore(Path(store)), clock, settings, stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
