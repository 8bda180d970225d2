"""A full retrain that looks for its hyperparameters, and is rebuilt without looking."""

import csv
import io

import pytest

from mlreg.controller.domain.policy import RetrainRule
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog, stages
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    log_stream,
    make_model,
    reproduced,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def at_work(database, store, tmp_path):
    log_stream(database, make_model(database), START, 31)
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        yield


def searching(**changes):
    search = {
        "trials": 4,
        "seconds": 60,
        "params": {
            "num_leaves": [2, 7, 15],
            "learning_rate": {"low": 0.05, "high": 0.5, "log": True},
            "min_data_in_leaf": {"low": 5, "high": 60},
        },
        **changes,
    }
    params = {"num_leaves": 2, "learning_rate": 0.001, "objective": "binary"}
    return RetrainRule.model_validate({"params": params, "rounds": 20, "search": search})


@pytest.mark.usefixtures("at_work")
def test_what_was_found_is_trained_recorded_and_not_searched_again(database, store):
    run = await_end(database, ask(database, now=NOW, retrain=searching()))
    assert run.state == "succeeded", log_of(database, run.id)
    with database.reading() as session:
        made = catalog.get_version(session, catalog.get_model(session, "flights"), 1)
        files = {one.kind: one for one in stages.list_stage(session, made)}
    used, found = made.hyperparameters, made.hyperparameters["search"]
    assert found["trials"] == 5
    assert found["value"] < found["declared"], "the declared rate learns next to nothing"
    assert found["older_rows"] + found["newer_rows"] == made.metrics["train_rows"]
    assert {name: used[name] for name in found["chosen"]} == found["chosen"]
    with store.open(files["search_table"].digest) as reader:
        table = list(csv.DictReader(io.StringIO(reader.read().decode())))
    assert [row["trial"] for row in table] == list("01234")
    assert min(float(row["log_loss"]) for row in table) == found["value"]
    finding = reproduced(database, NOW, 1)
    assert finding["outcome"] == "identical", finding


@pytest.mark.nightly
@pytest.mark.usefixtures("at_work")
def test_a_search_ends_in_time_and_a_refused_trial_is_a_row(database):
    rule = searching(seconds=0.5, trials=1_000)
    run = await_end(database, ask(database, now=NOW, retrain=rule))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    assert any("s are over after" in line for line in lines)
    refused = searching(params={"no_such_parameter": [1, 2]})
    run = await_end(database, ask(database, now=NOW, retrain=refused))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    assert any("trial 1: training parameter 'no_such_parameter'" in line for line in lines)
    stateful = await_end(database, ask(database, now=NOW, retrain=rule, lane="refit"))
    assert stateful.lane == "full", "there is no champion: and then it searches"
