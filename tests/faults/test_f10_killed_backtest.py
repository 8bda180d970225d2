"""Fault 10: kill -9 of a worker amid a backtest: the next one goes on, and says the same.

What was trained is told by its seconds: those of the kept models are made a thousand each, so the
answer's own seconds say which models were found, and which were trained again.
"""

import json

import pytest

from mlreg.controller.services import backtesting
from mlreg.controller.services.backtesting import Asked
from mlreg.controller.services.policies import apply_policy
from mlreg.registry.services import catalog
from tests.faults.workers import await_true, end_leases, job_state, run_worker_process
from tests.makers import PERSON
from tests.run_makers import DAY, START, log_stream, make_model

PATIENCE_SECONDS = 240.0
DAYS = 30
NOW = START + (DAYS + 1) * DAY
GRID = """
triggers:
  daily: [{every: 1d}]
  weekly: [{every: 7d}]
lanes:
  full: {full: {}}
  refit: {refit: {}, full: {every: 14d}}
"""
POLICY = """
model: flights
data: {train_window: 10d, evaluate_window: 3d, label_delay: 1d}
triggers: [{every: 7d}]
retrain: {params: {num_leaves: 4, min_data_in_leaf: 20, objective: binary}, rounds: 5}
"""
MADE_UP_SECONDS = 1_000.0

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(4 * PATIENCE_SECONDS)]


@pytest.fixture
def logged(database):
    log_stream(database, make_model(database), START, DAYS)
    with database.writing() as session:
        apply_policy(session, POLICY, git=None, actor=PERSON, now=NOW)


def ask(database):
    with database.writing() as session:
        model = catalog.get_model(session, "flights")
        asked = Asked(grid=GRID, start=START, end=START + DAYS * DAY)
        return backtesting.request_backtest(session, model, asked, actor=PERSON, now=NOW)


def see(database, number):
    with database.reading() as session:
        return backtesting.get_backtest(session, number)


def kept(folder):
    return list((folder / "work").glob("mlreg-backtest-*/*/kept.json"))


def await_nothing_left(folder):
    """What ended is forgotten, right after its end."""
    await_true(lambda: not list((folder / "work").glob("mlreg-backtest-*")), PATIENCE_SECONDS)


def done(database, number):
    """How many policies it has told of."""
    words = see(database, number).progress.split()
    return int(words[0]) if words and words[0].isdigit() else 0


def await_found(database, number):
    await_true(lambda: see(database, number).state not in {"queued", "running"}, PATIENCE_SECONDS)
    ended = see(database, number)
    assert ended.state == "succeeded", ended.error
    return ended.found


def numbers_of(found):
    """What it found without what a clock told: seconds, and who is cheapest by them."""
    timed = {"train_seconds", "cost", "pareto"}
    policies = [
        {key: value for key, value in one.items() if key not in timed} for one in found["policies"]
    ]
    rest = {key: value for key, value in found.items() if key not in {"seconds", "answer"}}
    return {**rest, "policies": policies}


def kill_in_the_middle(database, url, folder, number):
    with run_worker_process(url, folder, NOW, lease_seconds=120.0) as victim:
        await_true(lambda: done(database, number) >= 3, PATIENCE_SECONDS)
        victim.kill()
        victim.wait()
    assert see(database, number).found is None
    end_leases(database)


@pytest.mark.usefixtures("logged")
def test_another_goes_on_with_its_models_and_says_the_same(database, database_url, tmp_path):
    undisturbed = ask(database)
    with run_worker_process(database_url, tmp_path, NOW, lease_seconds=120.0):
        whole = await_found(database, undisturbed)
        await_nothing_left(tmp_path)

    number = ask(database)
    kill_in_the_middle(database, database_url, tmp_path, number)
    found = kept(tmp_path)
    for file in found:
        file.write_text(json.dumps({**json.loads(file.read_text()), "seconds": MADE_UP_SECONDS}))
    assert len(found) >= 10
    with run_worker_process(database_url, tmp_path, NOW, lease_seconds=120.0):
        again = await_found(database, number)
        await_nothing_left(tmp_path)
    assert job_state(database, number) == ("succeeded", 2)
    assert numbers_of(again) == numbers_of(whole)
    (every,) = [one for one in again["policies"] if one["name"] == "every window"]
    anew = every["trainings"] - every["train_seconds"] // MADE_UP_SECONDS
    assert anew <= again["trained"] - len(found), "none that was kept was trained again"


@pytest.mark.usefixtures("logged")
def test_elsewhere_it_begins_anew_and_a_worker_that_is_told_to_stop_gives_it_back(
    database, database_url, tmp_path
):
    number = ask(database)
    kill_in_the_middle(database, database_url, tmp_path, number)
    other = tmp_path / "other"
    other.mkdir()
    (other / "store").symlink_to(tmp_path / "store")
    with run_worker_process(database_url, other, NOW, lease_seconds=120.0) as second:
        await_true(lambda: len(kept(other)) > 0, PATIENCE_SECONDS)
        assert see(database, number).share < 0.5, "it does not boast of the attempt before it"
        second.terminate()
        assert second.wait(PATIENCE_SECONDS) == 0
    drained, given_back = ("succeeded", 2), ("queued", 1)  # that attempt is none
    assert job_state(database, number) in {drained, given_back}
    with run_worker_process(database_url, other, NOW, lease_seconds=120.0):
        found = await_found(database, number)
    assert job_state(database, number) == ("succeeded", 2)
    assert found["left_out"] == []
