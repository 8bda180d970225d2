"""Races over HTTP: the losers are told what happened in our words, never in SQL's."""

from __future__ import annotations

import json
import threading

import pytest

from mlreg.client.errors import MlregError, RefusedError
from mlreg.client.transport import Call
from mlreg.client.wire.models import ModelRequest, TargetForm
from tests.makers import make_models, put_bytes
from tests.upload_makers import MISSING

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


@pytest.fixture
def body(client, tmp_path):
    """Return what registers a version of `flights`."""
    client.models.create(ModelRequest(name="flights", target=TargetForm(task="binary")))
    source = tmp_path / "model.bin"
    source.write_bytes(b"weights")
    files = [file.model_dump() for file in client.versions.upload(source)]
    return {"files": files, "provenance": {}, "allow_missing": MISSING}


def register(client, body, key):
    content = json.dumps(body).encode()
    headers = {"Idempotency-Key": key}
    target = "/api/v1/models/flights/versions"
    return client.transport.send(Call("POST", target, content=content, headers=headers)).body


def test_of_many_registrations_under_one_key_one_registers(api, client, body):
    def act(_number):
        with api.client() as own:
            return register(own, body, "k")

    won, told = race(act)
    assert told == []
    assert len(won) == RACERS
    assert len(set(won)) == 1
    assert [version.number for version in client.versions.list("flights").items] == [1]


def test_a_key_of_a_registration_stands_for_it_whatever_came_after(client, body):
    first = register(client, body, "k")
    with pytest.raises(RefusedError) as refused:
        register(client, {**body, "description": "other"}, "k")
    assert refused.value.code == "idempotency_conflict"
    client.models.delete("flights", reason="old")
    assert register(client, body, "k") == first
