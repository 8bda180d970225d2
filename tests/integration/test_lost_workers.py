"""What is left when the only worker is lost, and nobody takes its job back for days."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from mlreg.controller.services import claims, runs, standing_in, stranding, training_run
from mlreg.controller.services.claims import Claim, Price
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.store import costs
from mlreg.controller.store.tables import Run
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.posting import Postman, PostSettings
from tests.faults.workers import await_true
from tests.feedback_makers import make_model
from tests.integration.test_silence import make_hook
from tests.run_makers import specification

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LEASE_SECONDS = 30.0
CLAIM = Claim("w1", ("train",), LEASE_SECONDS, price=Price(Decimal("0.01"), "EUR"))


@pytest.fixture
def lost_run(database):
    """A run whose worker died three days ago, as soon as it had begun; nobody came since."""
    with database.writing() as session:
        asked = runs.request_run(
            session,
            model=make_model(database),
            environment="production",
            lane="full",
            cause="schedule",
            actor=SYSTEM,
            now=NOW,
            specification=specification(),
        )
        asked.state, asked.attempt = "running", 1
    assert claims.claim_all(database, CLAIM, 1)
    with database.writing() as session:
        began = "clock_timestamp() - interval '3 days'"
        session.execute(
            text(
                f"UPDATE job SET started_at = {began},"
                f" lease_until = {began} + interval '{LEASE_SECONDS} seconds'"
            )
        )
    return asked.id


def take_back(session, _run_id):
    for ended in claims.take_back(session, ("train",)):
        training_run.ended(session, ended, NOW)


def cancel(session, run_id):
    runs.cancel_run(session, run_id, "enough", actor=SYSTEM, now=NOW)


@pytest.mark.parametrize("ends", [take_back, cancel])
def test_a_lost_worker_costs_its_lease_and_not_the_days_after(database, lost_run, ends):
    with database.writing() as session:
        ends(session, lost_run)
    with database.reading() as session:
        assert session.get_one(Run, lost_run).state in {"queued", "cancelled"}
        ((cost,),) = costs.costs_of_runs(session, [lost_run]).values()
        trained = costs.seconds_trained(session, NOW.replace(year=2000), None)
    assert cost.seconds == pytest.approx(LEASE_SECONDS)
    assert float(cost.amount) == pytest.approx(0.01 * LEASE_SECONDS)
    assert [one.amount for one in trained] == [cost.seconds]  # a budget counts no more either


def stand_in_of(database, receiver, after_seconds=0.0):
    postman = Postman(PostSettings(frozenset({receiver.place}), receiver.ca_file))
    return standing_in.StandIn(database, Dispatcher(postman), after_seconds)


def test_that_nobody_works_is_told_though_nobody_works(database, receiver, lost_run):
    make_hook(database, receiver, topics=["incident.opened"])
    stranding.look(database, now=NOW)
    assert stand_in_of(database, receiver, 60.0).look() == 0  # a worker may be on its way
    assert stand_in_of(database, receiver).look() == 1
    assert stand_in_of(database, receiver).look() == 0  # another API's turn is later
    (told,) = receiver.received
    assert "work is not done: no worker is there" in told.body.decode()
    with database.reading() as session:
        assert session.get_one(Run, lost_run).state == "running"  # a worker takes it back


@pytest.mark.usefixtures("lost_run")
def test_where_a_worker_is_there_it_delivers(database, receiver):
    make_hook(database, receiver)
    stranding.look(database, now=NOW)
    with Presence(database, Introduction("w", "worker", kinds=("chore",))):
        await_true(lambda: is_there(database))
        assert stand_in_of(database, receiver).look() == 0
    assert receiver.received == []


def is_there(database):
    with database.reading() as session:
        return session.execute(text("SELECT count(*) FROM member")).scalar_one()
