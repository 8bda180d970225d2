"""The sums of costs are those of the runs, however they are grouped."""

from decimal import Decimal
from typing import get_args

import pytest
from sqlalchemy import text

from mlreg.controller.store import costs
from tests.feedback_makers import make_model
from tests.integration.test_budgets import ask

PRICES = ((None, None), (Decimal("0.000042"), "EUR"), (Decimal("0.1"), "EUR"), (Decimal(3), "USD"))


@pytest.fixture
def asked(database):
    """Thirty runs of three models, two attempts each, at changing prices, in three months."""
    models = [make_model(database, name) for name in ("a", "b", "c")]
    asked = [ask(database, models[number % 3]) for number in range(30)]
    row = text(
        "INSERT INTO cost (run_id, model_id, environment, policy, attempt, seconds, train_seconds,"
        " price, currency, amount, at) SELECT id, model_id, environment, :policy, :attempt,"
        " :seconds, :seconds / 2, :price, :currency, :price * CAST(:seconds AS numeric),"
        " now() - make_interval(days => :days) FROM run WHERE id = :run"
    )
    with database.writing() as session:
        for number in range(60):
            price, currency = PRICES[number % 4 if number < 40 else 1]
            values = {"policy": number % 5 > 0, "attempt": 1 + number // 30, "days": number}
            values |= {"seconds": 0.1 + number / 7, "run": asked[number % 30]}
            session.execute(row, {**values, "price": price, "currency": currency})
    return asked


def totals(sums):
    """Return, by currency, seconds, train seconds, amount and what was not priced."""
    found = {}
    for one in sums:
        seconds, trained, amount, unpriced = found.get(one.currency, (0.0, 0.0, 0, 0))
        found[one.currency] = (
            seconds + one.seconds,
            trained + one.train_seconds,
            amount + (one.amount or 0),
            unpriced + one.unpriced,
        )
    return found


@pytest.mark.parametrize("by", get_args(costs.By))
def test_however_they_are_grouped(database, asked, by):
    with database.reading() as session:
        of_runs = [one for run in costs.costs_of_runs(session, asked).values() for one in run]
        found = totals(costs.sums(session, by, None, 1_000))
    wanted = totals(of_runs)
    assert found.keys() == wanted.keys() == {None, "EUR", "USD"}
    for currency, sums in wanted.items():
        assert found[currency][:2] == pytest.approx(sums[:2])
        assert found[currency][2:] == sums[2:]  # money to the last digit
