"""What is left when the only worker is lost, and nobody takes its job back for days."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from mlreg.controller.services import claims, runs, training_run
from mlreg.controller.services.claims import Claim, Price
from mlreg.controller.store import costs
from mlreg.controller.store.tables import Run
from mlreg.registry.domain.actor import SYSTEM
from tests.feedback_makers import make_model
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
