"""A policy's bound that is raised, or set lower, while runs wait: at once, for those that wait."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mlreg.controller.services import claims, runs
from mlreg.controller.services.policies import apply_policy
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import catalog
from tests.feedback_makers import make_model
from tests.integration.test_budgets import CLAIM, attempt_of, start, training_run

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = """
model: flights
triggers: [{schedule: "0 3 * * *"}]
"""
ONE, TWO = (f"{POLICY}budget: {{runs_per_week: {number}}}\n" for number in (1, 2))


def apply(database, policy):
    with database.writing() as session:
        return apply_policy(session, policy, git=None, actor=SYSTEM, now=NOW).policy_id


def ask(database, policy_id):
    with database.writing() as session:
        return runs.request_run(
            session,
            model=catalog.get_model(session, "flights"),
            environment="production",
            lane="full",
            cause="schedule",
            actor=SYSTEM,
            now=NOW,
            policy_id=policy_id,
        ).id


def end_runs(database):
    with database.writing() as session:
        session.execute(text("UPDATE run SET state = 'succeeded'"))
        session.execute(text("UPDATE job SET state = 'succeeded'"))


@pytest.mark.parametrize("raised", [TWO, POLICY], ids=["raised", "dropped"])
def test_a_held_run_goes_on_at_once_when_its_policy_allows_more(database, raised):
    make_model(database)
    policy = apply(database, ONE)
    assert start(database, ask(database, policy)) is None
    claims.claim_all(database, CLAIM, 1)
    end_runs(database)
    held = ask(database, policy)
    (lease,) = claims.claim_all(database, CLAIM, 1)
    training_run.perform(attempt_of(database, lease))
    assert claims.claim_all(database, CLAIM, 1) == []
    apply(database, raised)
    assert claims.claim_all(database, CLAIM, 1)
    assert start(database, held) is None


def test_a_bound_that_is_lowered_holds_what_waits(database):
    make_model(database)
    policy = apply(database, TWO)
    assert start(database, ask(database, policy)) is None
    waits = ask(database, policy)
    apply(database, ONE)
    assert start(database, waits).allowed == 1
