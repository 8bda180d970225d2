"""Races over HTTP: the losers are told what happened in our words, never in SQL's."""

from __future__ import annotations

import threading

from mlreg.client.errors import MlregError
from mlreg.client.wire.models import ModelRequest, TargetForm
from tests.makers import make_models, put_bytes

RACERS = 8


def race(act):
    """Let eight threads act at once; return what they got and what they were told."""
    start, won, told = threading.Barrier(RACERS), [], []

    def run(number):
        start.wait()
        try:
            won.append(act(number))
        except MlregError as error:
            told.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any("SQL" in str(error).upper() for error in told)
    assert not any("psycopg" in str(error) for error in told)
    return won, told


def test_of_many_who_make_a_model_one_does(api):
    def make(_number):
        with api.client() as client:
            return client.models.create(
                ModelRequest(name="flights", target=TargetForm(task="binary"))
            )

    won, told = race(make)
    assert len(won) == 1
    assert {(error.status, error.code) for error in told} <= {
        (409, "model_exists"),
        (409, "just_made"),
    }


def test_of_many_first_promotes_one_makes_the_deployment(api, database):
    make_models(database, versions=RACERS)
    put_bytes(api.parts.store, versions=RACERS)

    def promote(number):
        with api.client() as client:
            return client.deployments.promote("flights", number + 1, force=True, reason="race")

    won, told = race(promote)
    assert told == []
    assert sorted(state.revision for state in won) == list(range(1, RACERS + 1))


def test_of_many_who_protect_from_one_revision_one_does(api, database):
    make_models(database)
    put_bytes(api.parts.store)
    with api.client() as client:
        tag = client.deployments.promote("flights", 1).etag

    def protect(number):
        with api.client() as client:
            return client.deployments.protect("flights", number + 1, expect=tag)

    won, told = race(protect)
    assert len(won) == 1
    assert {(error.status, error.code) for error in told} == {(412, "stale_revision")}
    assert all(error.current["approvals_required"] == won[0].approvals_required for error in told)
