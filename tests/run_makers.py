"""Makers of a stream that can be learnt, and a worker that does the runs on it."""

import atexit
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.executors.local import PRELOAD, LocalExecutor
from mlreg.controller.services import feedback, reproductions, runs
from mlreg.controller.services.handlers import HANDLERS
from mlreg.controller.services.work import CHILD_MODULES, Worker, WorkerParts, WorkerSettings
from mlreg.controller.services.work_folder import own_folder
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import catalog, deployments
from tests.faults.workers import await_true
from tests.feedback_makers import make_model
from tests.makers import PERSON

START = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GATES = (
    {"champion": "log_loss", "margin": 0.05},
    {"baseline": "prior", "metric": "log_loss"},
)
GIT = {"commit": "a" * 40, "dirty": False, "remote": None}


@dataclass
class FixedClock:
    moment: datetime

    def now(self):
        return self.moment


def stream(start, days, *, rows_a_day=200, seed=0, truth=True):
    """Predictions and labels of some days; `truth` False: the labels say nothing."""
    rng = np.random.default_rng([seed, start.toordinal()])
    count = days * rows_a_day
    times = [start + number * DAY / rows_a_day for number in range(count)]
    temp = rng.normal(20.0, 8.0, count)
    carrier = rng.choice(["AA", "UA"], count)
    signal = (temp - 20) / 4 + np.where(carrier == "AA", 1.0, -1.0)
    if not truth:
        signal = np.zeros(count)
    chance = 1 / (1 + np.exp(-signal))
    moment = pa.timestamp("us", tz="UTC")
    predictions = pa.table(
        {
            "prediction_id": [f"{start:%Y%m%d}-{number}" for number in range(count)],
            "time": pa.array(times, moment),
            "score": rng.random(count),
            "temp": temp,
            "hour": np.array([time.hour for time in times]),
            "carrier": carrier,
            "rain": rng.random(count) < 0.3,
        }
    )
    labels = pa.table(
        {
            "prediction_id": predictions["prediction_id"],
            "time": pa.array([time + timedelta(hours=1) for time in times], moment),
            "label": (rng.random(count) < chance).astype(float),
        }
    )
    return predictions, labels


def log_stream(database, model, start, days, **options):
    predictions, labels = stream(start, days, **options)
    at = start + days * DAY + timedelta(hours=2)
    with database.writing() as session:
        for kind, rows in (("predictions", predictions), ("labels", labels)):
            feedback.accept(session, model, kind, f"{kind}-{start:%Y%m%d}", rows, now=at)


def specification(**options):
    values = {
        "data": DataRule(
            train_window=20 * DAY, evaluate_window=10 * DAY, label_delay=timedelta(days=1)
        ),
        "retrain": RetrainRule(
            params={"num_leaves": 7, "min_data_in_leaf": 20, "objective": "binary"}, rounds=20
        ),
        "gates": GATES,
        "git": GIT,
        **options,
    }
    return RunSpecification(**values)


def ask(database, *, now, lane="full", actor=SYSTEM, **options):
    with database.writing() as session:
        model = catalog.get_model(session, "flights")
        return runs.request_run(
            session,
            model=model,
            environment="production",
            lane=lane,
            cause="manual",
            actor=actor,
            now=now,
            specification=specification(**options),
        ).id


@cache
def executor_of_all():
    """The executor of all workers of these tests: its fork server imports for a second."""
    executor = LocalExecutor({}, (*PRELOAD, *CHILD_MODULES))
    atexit.register(executor.close)
    return executor


@contextmanager
def worker(database, store, clock, folder, executor=None, **options):
    """A worker in a thread of this process; its children are real."""
    stop = threading.Event()
    parts = WorkerParts(database, store, clock, executor or executor_of_all(), HANDLERS)
    with own_folder(folder) as own:
        settings = WorkerSettings(name="test", folder=own, lease_seconds=30, **options)
        thread = threading.Thread(target=Worker(parts, settings).run, args=[stop])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def get_run(database, run_id):
    with database.reading() as session:
        return runs.get_run(session, run_id).run


def log_of(database, run_id):
    with database.reading() as session:
        return [line.line for line in runs.list_log(session, run_id)]


def await_end(database, run_id, seconds=100):
    await_true(lambda: get_run(database, run_id).state not in {"queued", "running"}, seconds)
    return get_run(database, run_id)


def reproduced(database, now, number, *, deep=False):
    """Have a version of the model reproduced, and return what was found."""
    with database.writing() as session:
        model = catalog.get_model(session, "flights")
        asked = reproductions.request_reproduction(
            session, model, number, deep=deep, actor=PERSON, now=now
        )

    def found():
        with database.reading() as session:
            return reproductions.get_reproduction(session, asked)

    await_true(lambda: found().state not in {"queued", "running"}, 100)
    assert found().state == "succeeded", found().error
    return found().progress["finding"]


def promote_by_hand(database, version, *, now, actor):
    with database.writing() as session:
        change = deployments.Change("flights", "production", actor, "by hand")
        return deployments.promote(session, change, version=version, now=now)


def deployment(database):
    with database.reading() as session:
        return deployments.find_deployment(session, "flights", "production")


__all__ = ["make_model"]
