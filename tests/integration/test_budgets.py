"""Budgets at the claim, under lock; what attempts cost."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from mlreg.controller.api import costs as costs_api
from mlreg.controller.domain.budget import Budget
from mlreg.controller.services import budgets, claims, jobs, runs, training_run
from mlreg.controller.services.claims import Claim, Price
from mlreg.controller.services.costing import record_attempt
from mlreg.controller.store import costs
from mlreg.controller.store.queue import list_waiting
from mlreg.controller.store.tables import Run
from mlreg.registry.domain.actor import SYSTEM
from tests.feedback_makers import make_model
from tests.run_makers import specification

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WALL = 600.0
CLAIM = Claim("w1", ("train",), 30.0, price=Price(Decimal("0.01"), "EUR"))


def ask(database, model, *, cause="schedule", now=NOW):
    with database.writing() as session:
        return runs.request_run(
            session,
            model=model,
            environment="production",
            lane="full",
            cause=cause,
            actor=SYSTEM,
            now=now,
            specification=specification(),
        ).id


def allow(database, **bounds):
    with database.writing() as session:
        budgets.set_overall(session, Budget(**bounds), actor=SYSTEM, now=NOW)


def start(database, run_id, now=NOW):
    """Start a run as its worker does; return what holds it, or the seconds that it is granted."""
    with database.writing() as session:
        run = session.get_one(Run, run_id, with_for_update=True)
        admission = budgets.admit(session, run, WALL, now)
        if admission.hold is None:
            run.state, run.started_at, run.attempt = "running", now, run.attempt + 1
            session.add(run)
        return admission.hold or admission.seconds


def test_of_two_policies_that_race_for_the_last_run_exactly_one_gets_it(database):
    asked = [ask(database, make_model(database, f"m{number}")) for number in range(6)]
    allow(database, runs_per_day=3)
    start(database, asked.pop())
    start(database, asked.pop())
    gate, found = threading.Barrier(len(asked)), []

    def race(run_id):
        gate.wait()
        found.append(start(database, run_id))

    threads = [threading.Thread(target=race, args=[one]) for one in asked]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert sum(one is None for one in found) == 1
    hold = next(one for one in found if one is not None)
    assert str(hold) == (
        "the budget of all policies runs_per_day: 3 of 3 are used;"
        " free again at 2026-05-05 12:00:00 UTC"
    )


def test_a_person_is_never_held_and_counts(database):
    allow(database, runs_per_day=1)
    model = make_model(database)
    assert start(database, ask(database, model)) is None
    assert start(database, ask(database, model, cause="manual")) is None
    assert start(database, ask(database, model)).used == 2


def test_another_attempt_is_no_other_run(database):
    allow(database, runs_per_day=1)
    run_id = ask(database, make_model(database))
    assert start(database, run_id) is None
    assert start(database, run_id) is None


def test_a_run_is_granted_the_seconds_that_are_left(database):
    allow(database, train_seconds_per_day=1_000)
    model = make_model(database)
    first, second, third = (ask(database, model) for _ in range(3))
    assert start(database, first) == WALL
    assert start(database, second) == 400.0
    assert "granted to runs that train now" in str(start(database, third))


def test_the_worker_puts_a_held_run_back_and_says_why(database, api):
    allow(database, runs_per_day=0)
    run_id = ask(database, make_model(database))
    (lease,) = claims.claim_all(database, CLAIM, 1)
    attempt = attempt_of(database, lease)
    training_run.perform(attempt)
    assert attempt.finished
    with database.reading() as session:
        (waiting,) = list_waiting(session, None, 10)
    assert (waiting.run, waiting.waits_for, waiting.position) == (run_id, "budget", None)
    with api.client() as client:
        (queued,) = client.costs.queue()
        assert "runs_per_day: 0 of 0 are used; it never frees" in queued.because
        assert client.costs.budget().held == 1
    allow(database)  # no bound any more: it is free at once
    (again,) = claims.claim_all(database, CLAIM, 1)
    assert (again.job_id, again.attempt) == (lease.job_id, 1)


def test_a_run_that_is_held_by_anothers_grant_goes_on_when_that_one_ends(database):
    allow(database, train_seconds_per_day=WALL)
    first, second = (ask(database, make_model(database, name)) for name in ("m1", "m2"))
    (granted,) = claims.claim_all(database, CLAIM, 1)
    assert start(database, first) == WALL
    (held,) = claims.claim_all(database, CLAIM, 1)
    training_run.perform(attempt_of(database, held))
    with database.writing() as session:
        assert jobs.release_held(session, NOW) == 0
    with database.writing() as session:
        run = session.get_one(Run, first)
        record_attempt(session, run, granted.job_id)
        run.state = "succeeded"
    with database.writing() as session:
        assert jobs.release_held(session, NOW) == 1
    (again,) = claims.claim_all(database, CLAIM, 1)
    assert again.payload["run_id"] == second


@pytest.fixture
def extra_routers():
    return (costs_api.router,)


class Clock:
    def now(self):
        return NOW


def attempt_of(database, lease):
    from mlreg.controller.services.attempt import Attempt

    return Attempt(lease, database, None, Clock(), None, None, threading.Event())


def end(database, run_id, lease, seconds, *, version=None, train_seconds=None):
    with database.writing() as session:
        began = "UPDATE job SET started_at = clock_timestamp() - make_interval(secs => :seconds)"
        session.execute(text(began), {"seconds": seconds})
        run = session.get_one(Run, run_id)
        run.version, run.train_seconds = version, train_seconds
        record_attempt(session, run, lease.job_id)


def test_each_attempt_costs_and_a_finished_training_is_paid_once(database):
    run_id = ask(database, make_model(database))
    (lease,) = claims.claim_all(database, CLAIM, 1)
    end(database, run_id, lease, 20)  # failed: all of it counts as training
    end(database, run_id, lease, 10, version=1, train_seconds=4.0)
    end(database, run_id, lease, 5, version=1, train_seconds=4.0)  # judged again after a crash
    with database.reading() as session:
        ((one,),) = costs.costs_of_runs(session, [run_id]).values()
        months = costs.sums(session, "month", None, 10)
    assert one.seconds == pytest.approx(35, abs=0.5)
    assert one.train_seconds == pytest.approx(24, abs=0.5)
    assert float(one.amount) == pytest.approx(0.35, abs=0.005)
    assert (months[0].currency, months[0].runs) == ("EUR", 1)


def test_the_seconds_of_the_past_week_are_real_time(database):
    run_id = ask(database, make_model(database))
    (lease,) = claims.claim_all(database, CLAIM, 1)
    end(database, run_id, lease, 20)
    with database.reading() as session:
        now = NOW + timedelta(days=4000)  # business time may be anywhere
        used = {one.bound: one.used for one in budgets.overall_standing(session, now).bounds()}
    assert used["train_seconds_per_day"] == pytest.approx(20, abs=0.5)


def test_the_api_sets_the_budget_and_the_audit_log_says_so(api):
    from mlreg.client.wire.costs import BudgetRequest

    with api.client() as client:
        found = client.costs.set_budget(BudgetRequest(runs_per_day=4))
        assert found.allowed("runs_per_day") == 4
        assert client.costs.budget() == found
        assert client.costs.list(by="month") == []
        actions = [entry.action for entry in client.audit.list()]
    assert actions.count("budget.set") == 1
