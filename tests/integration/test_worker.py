"""The worker in this process: claims at once, drains, gives back, leaves what it does not know."""

import os
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from mlreg.controller.services import heartbeats, jobs
from mlreg.controller.services.attempt import Handler
from mlreg.controller.services.work import WorkerSettings, run_worker
from mlreg.registry.domain.errors import InvalidError, UnavailableError
from mlreg.registry.store.clock import SystemClock
from tests.faults.workers import (
    PATIENCE_SECONDS,
    await_true,
    end_connections,
    enqueue,
    job_state,
)

CLOCK = SystemClock()
LEASE_SECONDS = 2 * PATIENCE_SECONDS  # no pause of a busy machine ends it
LISTENING = text("""
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'
""")


class Ran:
    """Handlers that remember what happened."""

    def __init__(self):
        self.started = threading.Event()
        self.release = threading.Event()
        self.ended = []

    def quick(self, attempt):
        attempt.outcome = {"answer": 42}

    def slow(self, attempt):
        self.started.set()
        while not self.release.wait(0.02):
            attempt.check()

    def await_start(self):
        assert self.started.wait(PATIENCE_SECONDS)

    def wrong_input(self, _attempt):
        raise InvalidError("column 'temp' is missing")

    def outage(self, _attempt):
        raise UnavailableError("the store is away")

    def bug(self, _attempt):
        raise ZeroDivisionError

    def remember(self, _session, ended, _now):
        self.ended.append((ended.state, ended.error))

    def handlers(self):
        names = ("quick", "slow", "wrong_input", "outage", "bug")
        return {name: Handler(getattr(self, name), self.remember) for name in names}


@pytest.fixture
def ran():
    return Ran()


@contextmanager
def worker(database, tmp_path, ran, **options):
    stop = threading.Event()
    settings = WorkerSettings(
        name="test", folder=tmp_path, **{"lease_seconds": LEASE_SECONDS, **options}
    )
    thread = threading.Thread(
        target=run_worker, args=(database, None, CLOCK, settings, stop, ran.handlers())
    )
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def listens(database):
    with database.reading() as session:
        return session.execute(LISTENING).first() is not None


def drains():
    """Say whether the worker claims nothing more: it counts the grace of its jobs."""
    return any(isinstance(one, threading.Timer) for one in threading.enumerate())


def test_a_job_is_claimed_at_once_though_polls_are_rare(database, tmp_path, ran):
    with worker(database, tmp_path, ran, poll_seconds=10 * PATIENCE_SECONDS):
        await_true(lambda: listens(database))
        job_id = enqueue(database, "quick")
        await_true(lambda: job_state(database, job_id) == ("succeeded", 1))


def test_it_removes_what_a_backtest_left_long_ago(database, tmp_path, ran):
    left = tmp_path / "mlreg-backtest-7-0123456789abcdef"
    left.mkdir()
    os.utime(left, (0, 0))
    with worker(database, tmp_path, ran):
        await_true(lambda: not left.exists())


def test_a_stopping_worker_waits_for_its_jobs(database, tmp_path, ran):
    options = {"poll_seconds": 0.1, "grace_seconds": 2 * PATIENCE_SECONDS}
    with worker(database, tmp_path, ran, **options) as stop:
        job_id = enqueue(database, "slow")
        ran.await_start()
        stop.set()
        await_true(drains)
        later = enqueue(database, "quick")
        ran.release.set()
    assert job_state(database, job_id) == ("succeeded", 1)
    assert job_state(database, later) == ("queued", 0)


def test_a_job_that_outlives_the_grace_is_given_back_uncounted(database, tmp_path, ran):
    with worker(database, tmp_path, ran, grace_seconds=0.3) as stop:
        job_id = enqueue(database, "slow")
        ran.await_start()
        stop.set()
    assert job_state(database, job_id) == ("queued", 0)
    assert ran.ended == [("queued", "the worker was stopped")]


def test_a_cancelled_job_is_halted_at_the_next_heartbeat(
    database, tmp_path, ran, caplog, monkeypatch
):
    monkeypatch.setattr(heartbeats, "BEATS_PER_LEASE", 5 * LEASE_SECONDS)
    with worker(database, tmp_path, ran):
        job_id = enqueue(database, "slow")
        ran.await_start()
        with database.writing() as session:
            jobs.cancel(session, job_id, "enough")
        await_true(lambda: "LEASE LOST" in caplog.text)
    assert job_state(database, job_id) == ("cancelled", 1)


def test_how_attempts_fail(database, tmp_path, ran):
    with worker(database, tmp_path, ran):
        wrong = enqueue(database, "wrong_input")
        await_true(lambda: job_state(database, wrong) == ("failed", 1))
        away = enqueue(database, "outage", max_attempts=2)
        await_true(lambda: job_state(database, away) == ("dead", 2))
        bug = enqueue(database, "bug", max_attempts=1)
        await_true(lambda: job_state(database, bug) == ("dead", 1))
    assert ran.ended == [
        ("failed", "column 'temp' is missing"),
        ("queued", "the store is away"),
        ("dead", "the store is away"),
        ("dead", "ZeroDivisionError"),
    ]


def test_a_slow_job_does_not_hold_up_the_others(database, tmp_path, ran):
    with worker(database, tmp_path, ran, slots=2):
        slow = enqueue(database, "slow")
        ran.await_start()
        quick = [enqueue(database, "quick") for _ in range(20)]
        await_true(lambda: all(job_state(database, one)[0] == "succeeded" for one in quick))
        assert job_state(database, slow)[0] == "running"
        ran.release.set()


def test_kinds_of_a_newer_release_stay_queued(database, tmp_path, ran):
    with worker(database, tmp_path, ran):
        future = enqueue(database, "of-the-future")
        known = enqueue(database, "quick")
        await_true(lambda: job_state(database, known) == ("succeeded", 1))
    assert job_state(database, future) == ("queued", 0)


def test_the_database_may_go_and_come_back(database, tmp_path, ran, postgres):
    with worker(database, tmp_path, ran, poll_seconds=0.2, lease_seconds=3):
        await_true(lambda: listens(database))
        end_connections(postgres, database.url)
        with_retry(lambda: enqueue(database, "quick"))
        await_true(lambda: with_retry(lambda: count_open(database)) == 0)


def with_retry(act):
    for _ in range(10):
        try:
            return act()
        except UnavailableError:
            time.sleep(0.1)
    return act()


def count_open(database):
    with database.reading() as session:
        return jobs.count_open(session)
