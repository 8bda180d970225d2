"""Fault 21, the run's half: an evaluation from which nothing can be concluded promotes nothing."""

import pytest

from mlreg.controller.services import decisions, feedback
from mlreg.controller.services.policies import apply_policy, set_enabled
from mlreg.controller.services.runs import request_run
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.revisions import NotAcceptedError
from mlreg.registry.services import catalog, deployments
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
    stream,
    worker,
)

NOW = START + 32 * DAY
LATER = NOW + 20 * DAY
POLICY = """
model: flights
data: {{train_window: 40d, evaluate_window: 10d, label_delay: 1d}}
triggers: [{{schedule: "0 3 * * *"}}]
retrain:
  params: {{num_leaves: 7, min_data_in_leaf: 20, objective: binary}}
  rounds: 20
gates: {gates}
"""
GOOD = "[{champion: log_loss, margin: 0.1}, {baseline: prior, metric: log_loss}]"


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def model(database, store, tmp_path):
    model = make_model(database)
    log_stream(database, model, START, 31)
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        first = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    return model


def run_by_policy(database, store, tmp_path, *, gates=GOOD, prepare=None):
    with database.writing() as session:
        policy = apply_policy(
            session, POLICY.format(gates=gates), git=None, actor=PERSON, now=LATER
        )
        run = request_run(
            session,
            model=catalog.get_model(session, "flights"),
            environment="production",
            lane="full",
            cause="schedule",
            actor=policy.actor,
            policy_id=policy.policy_id,
            now=LATER,
        )
        if prepare is not None:
            prepare(session)
        run_id = run.id
    with worker(database, store, FixedClock(LATER), tmp_path / "work"):
        return await_end(database, run_id)


def verdict(database, run):
    with database.reading() as session:
        return decisions.get_decision(session, run.decision_id).verdict


def log_rows(database, model, case):
    """Log what the case leaves of three weeks of rows."""
    predictions, labels = stream(START + 31 * DAY, 21)
    if case == "no_rows":
        return
    if case == "few_hours":
        predictions, labels = predictions.slice(18 * 200, 25), labels.slice(18 * 200, 25)
    if case == "one_class":
        labels = labels.set_column(2, "label", [[1.0] * len(labels)])
    with database.writing() as session:
        feedback.accept(session, model, "predictions", "late", predictions, now=LATER)
        if case != "no_labels":
            feedback.accept(session, model, "labels", "late", labels, now=LATER)


def test_accepted_is_promoted(database, store, tmp_path, model):
    log_stream(database, model, START + 31 * DAY, 21)
    run = run_by_policy(database, store, tmp_path)
    assert verdict(database, run) == "accepted", log_of(database, run.id)
    assert deployment(database).champion == run.version


@pytest.mark.parametrize("case", ["no_rows", "no_labels", "one_class", "few_hours", "no_gates"])
def test_nothing_to_conclude_is_a_hold(database, store, tmp_path, model, case):
    log_rows(database, model, case)
    gates = "[]" if case == "no_gates" else GOOD
    run = run_by_policy(database, store, tmp_path, gates=gates)
    assert run.state == "succeeded", log_of(database, run.id)
    assert verdict(database, run) == "inconclusive"
    assert deployment(database).champion == 1
    assert any(line.startswith("not promoted") for line in log_of(database, run.id))
    with pytest.raises(NotAcceptedError):
        promote_by_hand(database, run.version, now=LATER, actor=PERSON)


def test_nothing_to_conclude_does_not_fill_an_empty_deployment(database, store, tmp_path):
    """Where nothing serves a person may promote anything, so only the run itself can hold."""
    log_stream(database, make_model(database), START, 31)
    run = run_by_policy(database, store, tmp_path)
    assert verdict(database, run) == "inconclusive", log_of(database, run.id)
    assert deployment(database) is None
    promote_by_hand(database, run.version, now=LATER, actor=PERSON)


def freeze(session):
    change = deployments.Change("flights", "production", PERSON, "hands off")
    deployments.freeze(session, change, now=LATER)


def disable(session):
    set_enabled(session, "flights", "production", enabled=False, actor=PERSON, now=LATER)


@pytest.mark.parametrize("prepare", [freeze, disable])
def test_an_accepted_challenger_waits_where_automation_is_stopped(
    database, store, tmp_path, model, prepare
):
    log_stream(database, model, START + 31 * DAY, 21)
    run = run_by_policy(database, store, tmp_path, prepare=prepare)
    assert run.state == "succeeded", log_of(database, run.id)
    assert verdict(database, run) == "accepted"
    assert deployment(database).champion == 1
