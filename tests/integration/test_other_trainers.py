"""Runs of the other trainers, from the rule to the decision, and rebuilt from the record."""

import sys
from pathlib import Path

import pytest

from mlreg.controller.domain.commands import Commands, TrainerCommand
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.services import decisions
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    deployment,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    reproduced,
    worker,
)

NOW = START + 32 * DAY
LINEAR = Path(__file__).parents[1] / "commands" / "linear.py"
STEPS = [
    {"noise": ["temp"], "sigma": 0.05},
    {"subsample": 0.8, "where": {"label": 0}},
    {"hashed": ["carrier"], "buckets": 4},
]


def commands(lock):
    words = (sys.executable, str(LINEAR))
    own = {"train": words, "predict": words, "lanes": ("full", "continue")}
    return Commands(
        {"locked": TrainerCommand(**own, lock=str(lock)), "loose": TrainerCommand(**own)}
    )


@pytest.fixture
def at_work(database, tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.4.6\n")
    model = make_model(database)
    log_stream(database, model, START, 31)
    clock = FixedClock(NOW)
    store = FolderStore(tmp_path / "store")
    with worker(database, store, clock, tmp_path / "work", commands=commands(lock)):
        yield clock


def version(database, number):
    with database.reading() as session:
        return catalog.get_version(session, catalog.get_model(session, "flights"), number)


def retrained(database, now, lane="full", **rule):
    values = RetrainRule.model_validate(rule)
    return await_end(database, ask(database, now=now, lane=lane, retrain=values))


@pytest.mark.nightly
def test_a_model_of_scikit_learn_is_champion_and_a_programs_its_challenger(database, at_work):
    first = retrained(
        database,
        NOW,
        trainer="sklearn",
        estimator="sklearn.linear_model.SGDClassifier",
        params={"loss": "log_loss"},
        steps=STEPS,
    )
    assert first.state == "succeeded", log_of(database, first.id)
    made = version(database, 1)
    assert made.trainer.startswith("sklearn/")
    assert made.flavour == "skops"
    assert made.metrics["auc"] > 0.7
    steps = made.hyperparameters["steps"]
    assert [set(step) & {"noise", "subsample", "hashed"} for step in steps] == [
        {"noise"},
        {"subsample"},
        {"hashed"},
    ]
    assert all(step["seed"] for step in steps)
    assert not {"trees", "new_trees"} & made.hyperparameters.keys()
    finding = reproduced(database, NOW, 1)
    assert finding["outcome"] == "identical", finding
    promote_by_hand(database, 1, now=NOW, actor=PERSON)

    log_stream(database, the_model(database), START + 31 * DAY, 20)
    at_work.moment = NOW + 20 * DAY
    rule = {"trainer": "command", "params": {"rate": 4.0}, "rounds": 60}
    second = retrained(database, at_work.moment, "continue", command="locked", **rule)
    lines = log_of(database, second.id)
    assert second.state == "succeeded", lines
    assert "the trainer was sklearn: this is a full retrain" in lines
    with database.reading() as session:
        decision = decisions.get_decision(session, second.decision_id)
    assert (decision.challenger, decision.champion) == (2, 1)
    assert set(decision.evidence["metrics"]) >= {"challenger", "champion"}
    assert version(database, 2).trainer == "command/locked"
    assert version(database, 2).metrics["reported_squared_error"] > 0
    finding = reproduced(database, NOW, 2)
    assert finding["outcome"] == "identical", finding


def the_model(database):
    with database.reading() as session:
        return catalog.get_model(session, "flights")


def test_a_run_whose_model_answers_not_a_number_has_failed(database, at_work):
    del at_work
    rule = {"trainer": "command", "rounds": 5, "params": {"diverge": True}}
    diverged = retrained(database, NOW, **rule, command="loose")
    assert (diverged.state, diverged.version) == ("failed", None)
    assert "scores of the trained model cannot be used: " in diverged.error
    assert "not finite numbers" in diverged.error
    unknown = retrained(database, NOW, **rule, command="nobodys")
    assert unknown.state == "failed"
    assert "no trainer command 'nobodys' is declared on this worker" in unknown.error


@pytest.mark.nightly
def test_what_a_program_without_a_lock_made_cannot_be_rebuilt(database, at_work):
    rule = {"trainer": "command", "command": "loose", "rounds": 20}
    run = retrained(database, NOW, **rule)
    assert run.state == "succeeded", log_of(database, run.id)
    finding = reproduced(database, NOW, 1)
    assert finding["outcome"] == "not_reproducible"
    assert "the trainer command 'loose' declared no lock" in finding["reason"]

    promote_by_hand(database, 1, now=NOW, actor=PERSON)
    log_stream(database, the_model(database), START + 31 * DAY, 20)
    at_work.moment = NOW + 20 * DAY
    diverged = retrained(database, at_work.moment, **rule, params={"diverge": True})
    assert (diverged.state, diverged.version) == ("failed", None)
    assert deployment(database).champion == 1, "a failed run changes nothing"
