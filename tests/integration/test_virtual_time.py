"""Virtual time: forward only, one due moment after the other, nothing left behind."""

import threading
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.controller.services import claims, jobs, leases, stranding, virtual_time
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.services.tick import tick
from mlreg.controller.store import tables as controller_tables
from mlreg.registry.store import tables
from mlreg.registry.store.clock import NoVirtualClockError, virtual_now
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.faults.workers import await_true


@pytest.fixture
def automation(database, store):
    """A deployment with a worker that does its jobs in a thread; runs succeed at once."""
    automation = Automation(database, store)
    stop = threading.Event()
    worker = threading.Thread(target=_work, args=[automation, stop])
    worker.start()
    yield automation
    stop.set()
    worker.join()


def _work(automation, stop):
    while not stop.wait(0.01):
        automation.work()
        lease = claims.claim(automation.database, "runs", ["train"], 30.0)
        if lease is not None:
            with automation.database.writing() as session:
                run = session.get(controller_tables.Run, lease.payload["run_id"])
                run.state = "succeeded"
                leases.complete(session, lease)


def now_of(database):
    with database.reading() as session:
        return virtual_now(session)


def test_an_advance_stops_at_every_due_moment(automation):
    automation.log(START)
    assert virtual_time.advance(automation.database, START + 3 * DAY) == START + 3 * DAY
    assert now_of(automation.database) == START + 3 * DAY
    firings = automation.all(controller_tables.Firing)
    assert [one.fire_at for one in firings] == [
        START + number * DAY + 3 * HOUR for number in range(3)
    ]
    assert [one.created_at for one in firings] == [one.fire_at for one in firings]
    assert dict(automation.states("auc"))[START] == "final"
    with automation.database.reading() as session:
        assert jobs.count_open(session) == 0


def test_a_scheduler_that_ticks_beside_it_makes_it_skip_nothing(automation):
    database, ended = automation.database, threading.Event()
    automation.log(START)

    def beat():
        while not ended.wait(0.001):
            tick(database, now=now_of(database))

    scheduler = threading.Thread(target=beat)
    scheduler.start()
    try:
        virtual_time.advance(database, START + 6 * DAY)
    finally:
        ended.set()
        scheduler.join()
    firings = automation.all(controller_tables.Firing)
    assert [one.created_at for one in firings] == [
        START + number * DAY + 3 * HOUR for number in range(6)
    ]


def test_time_never_goes_back(automation):
    with pytest.raises(virtual_time.TimeGoesForwardError):
        virtual_time.advance(automation.database, START - timedelta(seconds=1))
    with pytest.raises(virtual_time.TimeGoesForwardError):
        virtual_time.advance(automation.database, (START + DAY).replace(tzinfo=None))
    assert virtual_time.advance(automation.database, START) == START


def test_one_advance_at_a_time(automation):
    database = automation.database
    results = []

    def advance():
        try:
            results.append(virtual_time.advance(database, START + 2 * DAY))
        except virtual_time.AdvancingAlreadyError:
            results.append(None)

    threads = [threading.Thread(target=advance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert START + 2 * DAY in results
    assert set(results) <= {None, START + 2 * DAY}
    assert len(automation.all(controller_tables.Firing)) == 2


def test_when_nobody_can_do_the_work_it_says_who_would_be_needed(database, store, monkeypatch):
    monkeypatch.setattr(virtual_time, "STRANDED_SECONDS", 0.1)
    monkeypatch.setattr(virtual_time, "STRANDED_LOOK_SECONDS", 0.02)
    Automation(database, store)
    with database.writing() as session:
        jobs.enqueue(session, kind="train", payload={}, label="gpu")
    with (
        Presence(database, Introduction("cpu", "worker", (), ("train",))),
        pytest.raises(virtual_time.NobodyWorksError, match="no worker with label 'gpu'") as told,
    ):
        virtual_time.advance(database, START + DAY, patience_seconds=60)
    assert f"time stands still at {START.isoformat()}: job " in str(told.value)


def test_a_job_that_somebody_takes_is_found_behind_a_hundred_that_nobody_can(database):
    with database.writing() as session:
        for label in (*["gpu"] * 101, None):
            jobs.enqueue(session, kind="train", payload={}, label=label)

    def why():
        with database.reading() as session:
            return stranding.why_all_wait(session)

    with Presence(database, Introduction("cpu", "worker", (), ("train",))):
        await_true(lambda: why() is None)  # the worker says in a thread of its own that it is there


@pytest.mark.parametrize("lost", [True, False])
def test_a_job_whose_only_worker_died_is_waited_for_no_longer_than_its_lease(
    database, store, monkeypatch, lost
):
    monkeypatch.setattr(virtual_time, "STRANDED_SECONDS", 0.1)
    monkeypatch.setattr(virtual_time, "STRANDED_LOOK_SECONDS", 0.02)
    Automation(database, store)
    with database.writing() as session:
        jobs.enqueue(session, kind="train", payload={})
    assert claims.claim(database, "w1", ["train"], 0.01 if lost else 600.0) is not None
    error = virtual_time.NobodyWorksError if lost else virtual_time.StillWorkingError
    said = "lost with worker w1 and .* no worker is there" if lost else "runs on worker w1"
    with pytest.raises(error, match=rf"job \d+ \(train\) .*{said}"):
        virtual_time.advance(database, START + DAY, patience_seconds=60 if lost else 0.3)


def test_without_a_worker_it_says_so(database, store):
    automation = Automation(database, store)
    automation.log(START)
    with pytest.raises(virtual_time.StillWorkingError, match="jobs did not end"):
        virtual_time.advance(database, START + DAY, patience_seconds=0.2)


def test_production_and_real_time_refuse(database):
    with pytest.raises(NoVirtualClockError):
        virtual_time.advance(database, START)
    with database.writing() as session:
        session.exec(select(tables.Installation)).one().mode = "production"
    with pytest.raises(virtual_time.VirtualInProductionError):
        virtual_time.advance(database, START)
