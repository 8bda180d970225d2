"""Reproduction over HTTP and on the command line: exit codes, progress, attestations, who may."""

import json

import pytest
from sqlalchemy import text

from mlreg.client.errors import NotAllowedError, NotFoundError
from mlreg.client.wire.runs import RetrainRequest
from mlreg.controller.api import decisions, reproductions, runs
from mlreg.registry.store.clock import SystemClock
from tests.api.test_runs import PARAMS, TODAY, WINDOWS, run_cli
from tests.makers import make_version
from tests.run_makers import DAY, log_stream, make_model, worker


@pytest.fixture
def extra_routers():
    return (runs.router, decisions.router, reproductions.router)


@pytest.fixture
def trained(database, store, client, tmp_path):
    """A worker, and version 1 of a run."""
    log_stream(database, make_model(database), TODAY - 33 * DAY, 32)
    with worker(database, store, SystemClock(), tmp_path / "work"):
        request = RetrainRequest(**WINDOWS, params=PARAMS, rounds=5)
        yield client.runs.wait(client.runs.request("flights", request).number)


@pytest.mark.usefixtures("trained")
def test_from_identical_to_differs_by_exit_code(api, client, database, tmp_path):
    done = run_cli(api, tmp_path, "version", "reproduce", "flights", 1, "--wait", "--deep")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("flights/1: identical\n")
    assert "byte for byte" in done.stdout
    shown = run_cli(api, tmp_path, "version", "show", "flights/1")
    assert "attested    reproduce --deep: identical, " in shown.stdout
    [attestation] = client.versions.get("flights", 1).attestations
    assert (attestation.outcome, attestation.actor) == ("identical", "admin")
    assert attestation.body["comparison"]["same_bytes"] is True

    with database.writing() as session:
        session.execute(
            text("UPDATE run SET specification = jsonb_set(specification, '{retrain,seed}', '9')")
        )
    done = run_cli(api, tmp_path, "version", "reproduce", "flights/1", "--wait", "--json")
    assert done.returncode == 8, done.stdout
    found = json.loads(done.stdout)
    assert found["outcome"] == "differs"
    assert {one["what"] for one in found["finding"]["partings"]} >= {"run", "bagging_seed"}
    assert json.loads(done.stderr)["code"] == "reproduction_differs"
    newest = client.versions.get("flights", 1).attestations[0]
    assert newest.outcome == "differs"
    assert "bagging_seed" in newest.reason


@pytest.mark.usefixtures("trained")
def test_what_cannot_be_rebuilt_exits_1_with_its_reason(api, database, tmp_path):
    with database.writing() as session:
        from sqlmodel import select

        from mlreg.registry.store.tables import Model

        make_version(session, session.exec(select(Model)).one(), 2, flavour="pickle")
    done = run_cli(api, tmp_path, "version", "reproduce", "flights/2", "--wait")
    assert done.returncode == 1, done.stderr
    assert "flights/2 is not reproducible: its files are pickle" in done.stderr
    wrong = run_cli(api, tmp_path, "version", "reproduce", "flights")
    assert wrong.returncode == 2
    gone = run_cli(api, tmp_path, "version", "reproduce", "flights/9")
    assert gone.returncode == 3


def test_asking_twice_is_asking_once_and_needs_the_right_to_run(api, client, database):
    with database.writing() as session:
        make_version(session, session.merge(make_model(database)), 1)
    first = client.reproductions.request("flights", 1)
    assert (first.state, first.finding) == ("queued", None)
    assert client.reproductions.request("flights", 1).number == first.number
    assert client.reproductions.request("flights", 1, deep=True).number != first.number
    viewer = client.tokens.create("auditor")
    with api.client(viewer.token) as other:
        assert other.reproductions.get(first.number).version == 1
        with pytest.raises(NotAllowedError):
            other.reproductions.request("flights", 1)
    with pytest.raises(NotFoundError):
        client.reproductions.get(first.number + 99)
