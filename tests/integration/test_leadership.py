"""The leader's lease: one holder, a growing epoch, the database's clock."""

import threading
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mlreg.controller import scheduler
from mlreg.controller.scheduler import ControllerSettings
from mlreg.controller.services.leadership import give_back, leads, take_leadership
from mlreg.registry.store.clock import SystemClock
from tests.faults.workers import await_true


def end_its_time(database):
    with database.writing() as session:
        session.execute(text("UPDATE leader SET until = until - interval '1 hour'"))


def test_one_leader_until_its_time_runs_out(database):
    first = take_leadership(database, "a", ttl_seconds=60)
    assert take_leadership(database, "b") is None
    assert take_leadership(database, "a", ttl_seconds=60) == first
    end_its_time(database)
    second = take_leadership(database, "b")
    assert second.epoch > first.epoch
    with database.writing() as session:
        assert leads(session, second)
        assert not leads(session, first)
    assert take_leadership(database, "a") is None


def test_a_leader_that_slept_comes_back_with_another_epoch(database):
    first = take_leadership(database, "a", ttl_seconds=0.05)
    time.sleep(0.1)
    assert take_leadership(database, "a").epoch > first.epoch


def test_giving_back_lets_the_next_one_lead_at_once(database):
    first = take_leadership(database, "a")
    give_back(database, first.holder)
    assert take_leadership(database, "b").epoch == first.epoch + 1


def test_of_many_that_ask_at_once_one_leads(database):
    found, barrier = [], threading.Barrier(6)

    def ask(name):
        barrier.wait()
        found.append(take_leadership(database, name))

    threads = [threading.Thread(target=ask, args=[f"c{number}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in found) == 1


@pytest.mark.slow
def test_the_clock_beats_at_once_and_stops_cleanly():
    beats, stop = [], threading.Event()

    def beat():
        beats.append(datetime.now(UTC))
        if len(beats) == 3:
            stop.set()

    scheduler.every(0.05, beat, stop)
    ended = len(beats)
    time.sleep(0.15)
    assert len(beats) == ended >= 3


def test_a_scheduler_ticks_and_gives_its_leadership_back(database):
    stop = threading.Event()
    thread = threading.Thread(
        target=scheduler.run_scheduler,
        args=[database, SystemClock(), stop, ControllerSettings("a", tick_seconds=0.05)],
    )
    thread.start()
    await_true(lambda: take_leadership(database, "probe", ttl_seconds=0.01) is None)
    stop.set()
    thread.join()
    assert take_leadership(database, "next") is not None
