"""From the firing to the run that has started, with a free worker.

`python -m benchmarks.run_start` asks for runs one after the other, each in the transaction that a
firing has (the run, its job, the notice), and takes the time from its commit until the run is
marked as running by a worker that listens; budgets are judged on the way. The worker is a thread of
this process with its own connections; PostgreSQL is another process, with its usual durability.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import report
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.controller.domain.budget import Budget
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services import budgets, runs, training_run
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.work import WorkerSettings, run_worker
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from mlreg.registry.store.tables import Model

RUNS = 300
TARGETS = {"firing_to_started_p99_seconds": ("<=", 2.0)}


class _Starts:
    """When each run was seen to have started."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.came = threading.Event()

    def perform(self, attempt: Attempt) -> None:
        """Begin the run, and leave it at that."""
        if training_run._begin(attempt, int(str(attempt.lease.payload["run_id"]))):  # noqa: SLF001 - the step that is timed
            self.at[int(str(attempt.lease.payload["run_id"]))] = time.perf_counter()
            self.came.set()


def measure() -> dict[str, float]:
    """Return the percentiles of the seconds from the commit to the start."""
    folder = Path(tempfile.mkdtemp(prefix="mlreg-start-"))
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    try:
        upgrade(server.url())
        seconds = sorted(timed(Database(server.url()), folder))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "firing_to_started_p50_seconds": statistics.median(seconds),
        "firing_to_started_p99_seconds": seconds[int(0.99 * len(seconds))],
    }


def timed(database: Database, folder: Path) -> list[float]:
    """Ask for the runs, one after the other, and return what each took to start."""
    starts, stop = _Starts(), threading.Event()
    store = open_store((folder / "artifacts").as_uri())
    settings = WorkerSettings(name="benchmark", folder=folder)
    thread = threading.Thread(
        target=run_worker,
        args=(database, store, SystemClock(), settings, stop, {"train": Handler(starts.perform)}),
    )
    thread.start()
    try:
        model = prepare(database)
        return [start_of(database, model, starts) for _ in range(RUNS)]
    finally:
        stop.set()
        thread.join()
        database.dispose()


def prepare(database: Database) -> Model:
    """Make a model, and a budget that is judged and never spent."""
    now, target = datetime.now(UTC), TargetContract.from_json({"task": "binary"})
    with database.writing() as session:
        bounds = Budget(runs_per_day=100_000, train_seconds_per_week=1e9)
        budgets.set_overall(session, bounds, actor=SYSTEM, now=now)
        return create_model(session, ModelSpecification("m", target), actor=SYSTEM, now=now)


def start_of(database: Database, model: Model, starts: _Starts) -> float:
    """Ask for one run and wait for its start."""
    starts.came.clear()
    specification = RunSpecification(data=DataRule(), retrain=RetrainRule(), gates=())
    with database.writing() as session:
        run = runs.request_run(
            session,
            model=model,
            environment="production",
            lane="full",
            cause="schedule",
            actor=SYSTEM,
            now=datetime.now(UTC),
            specification=specification,
        )
    committed = time.perf_counter()
    starts.came.wait(30)
    return max(0.0, starts.at[run.id or 0] - committed)


if __name__ == "__main__":
    report(measure, TARGETS)
