"""Chores: due by real time, one run at a time, done by a worker, no business of business time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from mlreg.controller.services import jobs
from mlreg.controller.services.chore import Chore, ChoreSettings, chores_by_name
from mlreg.controller.services.chores import CHORES, KIND, enqueue_due, handler
from mlreg.controller.services.virtual_time import await_idle
from mlreg.controller.store import tables
from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.store.clock import SystemClock
from tests.faults.workers import await_true
from tests.integration.test_worker import worker as running_worker

MINUTE = timedelta(minutes=1)


class Kitchen:
    """Chores that remember what they did."""

    def __init__(self):
        self.need = "something"
        self.rooms = []
        self.fails = False
        self.chores = chores_by_name(Chore("sweep", MINUTE, self.sweep, lambda _session: self.need))

    def sweep(self, room):
        self.rooms.append(room)
        if self.fails:
            raise UnavailableError("no broom")
        return "swept"

    def handlers(self):
        return {KIND: handler(ChoreSettings(), self.chores)}


@pytest.fixture
def kitchen():
    return Kitchen()


def outcome(database, name="sweep"):
    with database.reading() as session:
        found = session.get(tables.Chore, name)
        return found and found.outcome


def pass_seconds(database, seconds):
    with database.writing() as session:
        session.execute(
            text("UPDATE chore SET last_at = last_at - make_interval(secs => :s)"), {"s": seconds}
        )


def do(database, tmp_path, kitchen):
    """Let a worker do what is enqueued."""
    with running_worker(database, tmp_path, kitchen):
        await_true(lambda: not open_chores(database))


def open_chores(database):
    with database.reading() as session:
        query = select(tables.Job).where(tables.Job.state.in_(["queued", "running"]))
        return session.exec(query).all()


def test_a_chore_has_its_turn_at_once_and_then_by_its_interval(database, tmp_path, kitchen):
    assert enqueue_due(database, kitchen.chores) == ["sweep"]
    assert enqueue_due(database, kitchen.chores) == []
    do(database, tmp_path, kitchen)
    assert outcome(database) == "swept"
    assert abs(kitchen.rooms[0].now - SystemClock().now()) < MINUTE
    pass_seconds(database, 50)
    assert enqueue_due(database, kitchen.chores) == []
    pass_seconds(database, 10)
    assert enqueue_due(database, kitchen.chores) == ["sweep"]


def test_of_one_chore_one_run_waits_however_often_it_is_due(database, kitchen):
    for _ in range(3):
        enqueue_due(database, kitchen.chores)
        pass_seconds(database, 100)
    assert len(open_chores(database)) == 1


def test_nothing_to_do_passes_a_turn_by_and_what_is_urgent_does_not_wait(database, kitchen):
    kitchen.need = "nothing"
    assert enqueue_due(database, kitchen.chores) == []
    kitchen.need = "something"
    assert enqueue_due(database, kitchen.chores) == ["sweep"]
    kitchen.need = "urgent"
    assert enqueue_due(database, kitchen.chores) == []  # not every two seconds either
    pass_seconds(database, 6)
    assert enqueue_due(database, kitchen.chores) == ["sweep"]


def test_a_failure_is_written_down_and_the_next_turn_tries_again(database, tmp_path, kitchen):
    kitchen.fails = True
    enqueue_due(database, kitchen.chores)
    do(database, tmp_path, kitchen)
    assert outcome(database) == "failed: no broom"
    kitchen.fails = False
    pass_seconds(database, 60)
    enqueue_due(database, kitchen.chores)
    do(database, tmp_path, kitchen)
    assert outcome(database) == "swept"


def test_business_time_does_not_wait_for_chores(database, kitchen):
    enqueue_due(database, kitchen.chores)
    await_idle(database, 0.1)
    with database.reading() as session:
        assert jobs.count_open(session) == 0


def test_a_chore_of_another_version_is_left_to_its_workers(database, tmp_path, kitchen):
    enqueue_due(database, chores_by_name(Chore("dust", MINUTE, kitchen.sweep)))
    with running_worker(database, tmp_path, kitchen):
        await_true(lambda: open_chores(database)[0].error is not None)
        enqueue_due(database, kitchen.chores)
        await_true(lambda: outcome(database) == "swept")
    [left] = open_chores(database)
    assert (left.state, left.attempt) == ("queued", 0)
    assert "there is no chore 'dust' here" in left.error


def test_every_chore_of_ours_can_ask_what_there_is_to_do(database):
    with database.reading() as session:
        needs = {name: chore.need(session) for name, chore in CHORES.items()}
    assert set(needs.values()) <= {"nothing", "something", "urgent"}
    assert {"checkpoint", "deliver", "prune", "verify-audit"} <= set(CHORES)
    assert needs["deliver"] == needs["checkpoint"] == "nothing"
