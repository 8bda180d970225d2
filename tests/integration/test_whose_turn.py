"""Whose turn it is: a person goes before policies, and nobody waits for what nobody takes."""

from datetime import UTC, datetime

from mlreg.controller.services import runs
from mlreg.controller.store.queue import list_waiting
from mlreg.registry.domain.actor import SYSTEM
from tests.feedback_makers import make_model
from tests.run_makers import specification

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def ask(database, model, cause):
    with database.writing() as session:
        return runs.request_run(
            session,
            model=model,
            environment="production",
            lane="full",
            cause=cause,
            actor=SYSTEM,
            now=NOW,
            specification=specification(),
        ).id


def test_what_a_person_asked_for_goes_before_the_runs_of_policies(database):
    of_policy = ask(database, make_model(database, "a"), "schedule")
    by_hand = ask(database, make_model(database, "b"), "manual")
    with_others = ask(database, make_model(database, "c"), "schedule, manual")
    with database.reading() as session:
        found = [one.run for one in list_waiting(session, None, 10)]
    assert found == [by_hand, with_others, of_policy]
