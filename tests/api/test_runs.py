"""Runs, evaluations and decisions over HTTP, from the client and the command line."""

import json
import os
import subprocess
import sys

import pytest

from mlreg.client.errors import (
    InvalidError,
    NotFoundError,
    RefusedError,
    RunFailedError,
)
from mlreg.client.wire.decisions import EvaluateRequest
from mlreg.client.wire.runs import RetrainRequest
from mlreg.controller.api import decisions, runs
from mlreg.controller.services.policies import apply_policy
from mlreg.registry.store.clock import SystemClock
from tests.makers import PERSON
from tests.run_makers import DAY, log_stream, make_model, promote_by_hand, worker

WINDOWS = {"train_window": "20d", "evaluate_window": "10d", "label_delay": "1d"}
PARAMS = {"num_leaves": 7, "min_data_in_leaf": 20, "objective": "binary"}
REQUEST = RetrainRequest(**WINDOWS, params=PARAMS, rounds=10)
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 10d, label_delay: 1d}
triggers: [{schedule: "0 3 * * *"}]
retrain:
  params: {num_leaves: 7, min_data_in_leaf: 20, objective: binary}
  rounds: 12
gates: [{baseline: prior, metric: log_loss}]
"""
TODAY = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def extra_routers():
    return (runs.router, decisions.router)


@pytest.fixture(autouse=True)
def model(database):
    return make_model(database)


@pytest.fixture
def logged(database, model):
    log_stream(database, model, TODAY - 33 * DAY, 32)


@pytest.fixture
def at_work(database, store, tmp_path):
    with worker(database, store, SystemClock(), tmp_path / "work"):
        yield


def run_cli(api, tmp_path, *words):
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLREG_")},
        "MLREG_URL": api.url,
        "MLREG_TOKEN": api.token,
        "MLREG_CONFIG_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "mlreg.cli", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_without_policy_the_windows_must_be_said(client):
    with pytest.raises(InvalidError, match="which rows to train and to judge on") as caught:
        client.runs.request("flights")
    assert caught.value.code == "no_specification"
    run = client.runs.request("flights", REQUEST)
    assert (run.state, run.lane, run.cause, run.requested_by) == (
        "queued",
        "full",
        "manual",
        "admin",
    )
    assert run.specification["data"]["train_window"] == "20d"
    assert run.specification["retrain"]["rounds"] == 10
    assert run.specification["auto_promote"] is False


def test_what_is_not_said_is_as_the_policy_says(client, database):
    with database.writing() as session:
        apply_policy(session, POLICY, git=None, actor=PERSON, now=TODAY)
    run = client.runs.request("flights", RetrainRequest(params={"num_leaves": 15}, seed=5))
    retrain = run.specification["retrain"]
    assert (retrain["rounds"], retrain["seed"]) == (12, 5)
    assert retrain["params"] == {**PARAMS, "num_leaves": 15}
    assert [gate["baseline"] for gate in run.specification["gates"]] == ["prior"]
    assert run.policy is not None


def test_a_run_says_why_it_takes_its_lane_and_what_it_begins_with(client, database):
    with database.writing() as session:
        apply_policy(session, POLICY, git=None, actor=PERSON, now=TODAY)
    run = client.runs.request("flights")
    assert (run.lane, run.because) == ("full", "there is no champion to begin with")
    assert client.runs.request("flights", RetrainRequest(lane="refit")).because.endswith(
        "asked for"
    )
    with pytest.raises(InvalidError, match="only the lanes continue and refit") as caught:
        client.runs.request("flights", RetrainRequest(start_from=3))
    assert caught.value.code == "lane_needed"
    with pytest.raises(NotFoundError):
        client.runs.request("flights", RetrainRequest(start_from=3, lane="continue"))


def test_the_command_line_names_what_a_run_begins_with(api, tmp_path):
    done = run_cli(api, tmp_path, "retrain", "flights", "--lane", "continue", "--from", 99)
    assert done.returncode == 2, "no policy, and no windows"
    windows = [f"--{name.replace('_', '-')}={value}" for name, value in WINDOWS.items()]
    done = run_cli(api, tmp_path, "retrain", "flights", "--from", 99, *windows)
    assert done.returncode == 2
    assert "Add --lane continue or --lane refit" in done.stderr
    done = run_cli(api, tmp_path, "retrain", "flights", "--lane", "refit", "--from", 99, *windows)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"train_window": "soon"}, "train-window"),
        ({"train_window": "-1d"}, "train-window"),
        ({"label_delay": "99999999d"}, "label-delay"),
    ],
)
def test_options_that_cannot_be_so_are_named(client, options, said):
    with pytest.raises(InvalidError, match=said):
        client.runs.request("flights", RetrainRequest(**{**WINDOWS, **options}))


def test_unknown_things_are_not_found(client):
    for ask in (
        lambda: client.runs.request("nobody", REQUEST),
        lambda: client.runs.request("flights", RetrainRequest(**WINDOWS, environment="moon")),
        lambda: client.runs.get(99),
        lambda: client.runs.log(99),
        lambda: client.runs.cancel(99),
        lambda: client.runs.retry(99),
        lambda: client.decisions.get(99),
        lambda: client.decisions.evaluation(99),
        lambda: client.decisions.evaluate("flights", 99),
        lambda: client.decisions.list("nobody"),
    ):
        with pytest.raises(NotFoundError):
            ask()


def test_a_queued_run_is_cancelled_once_and_retried_once(client):
    number = client.runs.request("flights", REQUEST).number
    cancelled = client.runs.cancel(number, reason="wrong week")
    assert (cancelled.state, cancelled.error) == ("cancelled", "wrong week")
    with pytest.raises(RefusedError, match="cancelled already"):
        client.runs.cancel(number)
    with pytest.raises(RunFailedError, match="wrong week"):
        client.runs.wait(number)
    assert client.runs.retry(number).state == "queued"
    with pytest.raises(RefusedError, match="is queued"):
        client.runs.retry(number)


def test_the_audit_log_says_by_whose_hand_a_run_began_and_ended(client):
    number = client.runs.request("flights", REQUEST).number
    client.runs.cancel(number, reason="wrong week")
    client.runs.retry(number)
    entries = list(client.audit.list(subject=f"run:{number}"))
    assert [entry.action for entry in entries] == ["run.retry", "run.cancel", "run.request"]
    assert {entry.actor for entry in entries} == {"admin"}
    assert entries[1].body["reason"] == "wrong week"


def test_pages_of_runs(client):
    numbers = [client.runs.request("flights", REQUEST).number for _ in range(5)]
    first = client.runs.list(model="flights", limit=3)
    second = client.runs.list(model="flights", limit=3, before=first.next)
    assert [run.number for run in [*first.items, *second.items]] == numbers[::-1]
    assert second.next is None
    assert client.runs.list(state="running").items == []


@pytest.mark.usefixtures("logged", "at_work")
def test_a_running_run_is_cancelled_and_its_worker_lets_go(client):
    long = RetrainRequest(**WINDOWS, params={**PARAMS, "num_leaves": 60}, rounds=10_000)
    number = client.runs.request("flights", long).number
    while client.runs.get(number).state != "running":
        pass
    client.runs.cancel(number)
    with pytest.raises(RunFailedError, match="cancelled"):
        client.runs.wait(number)


@pytest.mark.usefixtures("logged", "at_work")
def test_the_way_from_retrain_to_decision_on_the_command_line(api, client, database, tmp_path):
    options = [
        *("--train-window", "20d", "--evaluate-window", "10d", "--label-delay", "1d"),
        *("--param", "num_leaves=7", "--param", "objective=binary", "--rounds", "10"),
    ]
    done = run_cli(api, tmp_path, "retrain", "flights", *options, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["state"], run["version"], run["verdict"]) == ("succeeded", 1, "accepted")

    logs = run_cli(api, tmp_path, "run", "logs", run["number"], "--follow")
    assert "registered version 1" in logs.stdout
    listed = run_cli(api, tmp_path, "run", "list", "flights")
    assert "succeeded" in listed.stdout
    shown = run_cli(api, tmp_path, "decision", "show", run["decision"])
    assert "baseline" in shown.stdout
    assert "accepted" in shown.stdout

    promote_by_hand(database, 1, now=SystemClock().now(), actor=PERSON)
    refused = run_cli(api, tmp_path, "evaluate", "flights", "1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "champion of production itself" in refused.stderr

    again = run_cli(api, tmp_path, "retrain", "flights", *options, "--wait")
    assert again.returncode in {0, 1, 7}, again.stderr
    judged = run_cli(
        api, tmp_path, "evaluate", "flights", "2", "--wait", "--evaluate-window", "10d"
    )
    assert judged.returncode in {0, 1, 7}, judged.stderr
    listed = client.decisions.list("flights")
    assert [one.challenger for one in listed.items] == [2, 2, 1]
    assert listed.items[0].evidence == {}


@pytest.mark.usefixtures("at_work")
def test_a_run_that_fails_is_exit_6_and_one_that_cannot_conclude_is_exit_7(
    api, database, model, tmp_path
):
    options = ["--train-window", "20d", "--evaluate-window", "10d", "--label-delay", "1d"]
    done = run_cli(api, tmp_path, "retrain", "flights", *options, "--wait")
    assert (done.returncode, done.stdout) == (6, "")
    assert "can be trained on" in done.stderr
    told = [line for line in done.stderr.splitlines() if " is queued: " not in line]
    assert len(told) == 1  # beside what it waited for, where the machine is slow
    log_stream(database, model, TODAY - 33 * DAY, 20)
    done = run_cli(
        api,
        tmp_path,
        *("retrain", "flights", *options, "--param", "objective=binary", "--wait"),
    )
    assert done.returncode == 7, done.stderr
    assert "inconclusive" in done.stderr


def test_wrong_words_are_exit_2_or_3(api, tmp_path):
    for words, code in (
        (("retrain", "flights"), 2),
        (("retrain", "flights", "--lane", "fast"), 2),
        (("retrain", "flights", "--param", "broken"), 2),
        (("retrain", "nobody"), 3),
        (("run", "show", "99"), 3),
        (("run", "logs", "99"), 3),
        (("evaluate", "flights", "x"), 2),
        (("evaluate", "flights", "9"), 3),
        (("decision", "show", "9"), 3),
    ):
        done = run_cli(api, tmp_path, *words)
        assert done.returncode == code, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_equal_requests_under_one_key_are_one_run(client):
    from mlreg.client.transport import Call, path

    content = REQUEST.model_dump_json(exclude_unset=True).encode()
    call = Call(
        "POST",
        path("models", "flights", "runs"),
        content=content,
        headers={"Idempotency-Key": "k1"},
    )
    first, second = (json.loads(client.transport.send(call).body) for _ in range(2))
    assert first["number"] == second["number"]
    assert len(client.runs.list().items) == 1


def test_an_evaluation_takes_windows(client):
    with pytest.raises(NotFoundError):
        client.decisions.evaluate("flights", 1, EvaluateRequest(evaluate_window="5d"))
