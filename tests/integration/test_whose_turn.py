"""Whose turn it is: a person goes before policies, and nobody waits for what nobody takes."""

import json

import pytest

from mlreg.controller.api import costs as costs_api
from mlreg.controller.services import claims, jobs, leases
from mlreg.controller.services.claims import Claim
from mlreg.controller.services.jobs import JobRequest
from mlreg.controller.store.queue import list_waiting
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.feedback_makers import make_model
from tests.integration.test_budgets import ask


def test_what_a_person_asked_for_goes_before_the_runs_of_policies(database):
    of_policy = ask(database, make_model(database, "a"), cause="schedule")
    by_hand = ask(database, make_model(database, "b"), cause="manual")
    with_others = ask(database, make_model(database, "c"), cause="schedule, manual")
    with database.reading() as session:
        found = [one.run for one in list_waiting(session, None, 10)]
    assert found == [by_hand, with_others, of_policy]


def test_a_place_in_the_queue_counts_those_that_one_may_not_see(database):
    for name in ("a", "b"):
        ask(database, make_model(database, name))
    with database.reading() as session:
        (seen,) = list_waiting(session, ["b"], 10)
    assert (seen.model, seen.position) == ("b", 2)


@pytest.fixture
def extra_routers():
    return (costs_api.router,)


def test_the_queue_of_a_model_is_found_behind_those_of_others(database, cli):  # noqa: F811
    for name in ("a", "b"):
        ask(database, make_model(database, name))
    shown = json.loads(cli("run", "list", "b", "--queue", "--limit", 1, "--json"))
    assert [one["model"] for one in shown["items"]] == ["b"]


CLAIM = Claim("tester", ("count",), 30.0)


def add(database, model_id, count=1, **options):
    with database.writing() as session:
        jobs.enqueue_all(session, [JobRequest("count", {"model_id": model_id}, **options)] * count)


def do_next(database, again=None):
    """Do one job with one worker; a model `again` has another one as soon as one begins."""
    (lease,) = claims.claim_all(database, CLAIM, 1)
    model_id = lease.payload["model_id"]
    if model_id == again:
        add(database, again)
    with database.writing() as session:
        leases.complete(session, lease)
    return model_id


def test_at_the_head_of_the_queue_may_stand_what_nobody_can_take(database):
    add(database, 9, label="gpu")
    add(database, 1, count=40)
    for _ in range(10):
        do_next(database)
    add(database, 2)
    done = [do_next(database, again=2) for _ in range(12)]
    assert done == [1, 2] * 6


def test_workers_of_one_label_are_not_measured_by_those_of_another(database):
    add(database, 9, count=30, label="gpu")
    gpu = Claim("gpu", ("count",), 30.0, labels=("gpu",))
    for _ in range(20):
        (lease,) = claims.claim_all(database, gpu, 1)
        with database.writing() as session:
            leases.complete(session, lease)
    assert claims.claim_all(database, gpu, 1)
    add(database, 1, count=3)
    add(database, 2)
    found = claims.claim_all(database, CLAIM, 3)
    assert [lease.payload["model_id"] for lease in found] == [1, 2, 1]
