from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.controller.services import decisions, evaluations, incidents, profiles, runs
from mlreg.controller.store import costs
from mlreg.controller.store.tables import Run
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import LineageEdge, Version
from tests.faults.workers import await_true
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    deployment,
    get_run,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    specification,
    worker,
)

NOW = START + 32 * DAY

pytestmark = pytest.mark.usefixtures("at_work")


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def at_work(database, store, clock, tmp_path):
    with worker(database, store, clock, tmp_path / "work"):
        yield


def version(database, number):
    with database.reading() as session:
        return catalog.get_version(session, catalog.get_model(session, "flights"), number)


def decision_of(database, run):
    with database.reading() as session:
        return decisions.get_decision(session, run.decision_id)


def test_a_first_run_registers_a_version_with_its_whole_record(database, model):
    log_stream(database, model, START, 31)
    run = await_end(database, ask(database, now=NOW))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    made = version(database, run.version)
    assert made.number == 1
    assert made.missing == []
    assert (made.lane, made.parent, made.run_id) == ("full", None, run.id)
    assert made.snapshots == [run.snapshot]
    assert made.train_end == NOW - 11 * DAY
    assert made.hyperparameters["trees"] == 20
    assert made.environment["packages"]["lightgbm"]
    assert made.tags["trainer_digest"].startswith("sha256:")
    decision = decision_of(database, run)
    assert (decision.verdict, decision.champion) == ("accepted", None), decision.evidence["reason"]
    assert deployment(database) is None, "nobody asked for a promotion"
    assert any("not promoted" in line for line in lines)
    with database.reading() as session:
        assert profiles.find_reference(session, model.id, 1) is not None
        ((paid,),) = costs.costs_of_runs(session, [run.id]).values()
        edges = {
            (edge.source_kind, edge.target_kind) for edge in session.exec(select(LineageEdge)).all()
        }
    assert {("snapshot", "version"), ("run", "version"), ("version", "decision")} <= edges
    assert (paid.runs, paid.train_seconds) == (1, run.train_seconds)
    assert paid.seconds >= paid.train_seconds > 0
    promoted = promote_by_hand(database, 1, now=NOW, actor=PERSON)
    assert promoted.champion == 1


@pytest.mark.parametrize("lane", ["refit", "continue"])
def test_a_stateful_run_begins_with_the_champion(database, clock, model, lane):
    log_stream(database, model, START, 31)
    first = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    log_stream(database, model, START + 31 * DAY, 20)
    clock.moment = NOW + 20 * DAY
    run = await_end(database, ask(database, now=clock.moment, lane=lane, auto_promote=False))
    assert run.state == "succeeded", log_of(database, run.id)
    made = version(database, run.version)
    assert (made.lane, made.parent) == (lane, 1)
    assert made.feature_contract == version(database, 1).feature_contract
    decision = decision_of(database, run)
    assert (decision.challenger, decision.champion) == (2, 1)


def test_a_stateful_run_without_a_champion_is_a_full_one(database, model):
    log_stream(database, model, START, 31)
    run = await_end(database, ask(database, now=NOW, lane="refit"))
    assert run.state == "succeeded"
    assert run.lane == "full"
    assert version(database, 1).lane == "full"


def test_rows_that_the_champion_was_trained_on_do_not_judge(database, model):
    log_stream(database, model, START, 36)
    first = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    soon = NOW + timedelta(hours=5)
    run = await_end(database, ask(database, now=soon))
    assert run.state == "succeeded", log_of(database, run.id)
    evidence = decision_of(database, run).evidence
    assert evidence["trained_until"]["champion"] <= evidence["window"]["first"].replace("Z", "")


def test_a_window_without_labels_trains_nothing(database, model):
    log_stream(database, model, START - 100 * DAY, 2)
    run = await_end(database, ask(database, now=NOW))
    assert run.state == "failed"
    assert "can be trained on" in run.error
    assert run.version is None
    assert get_run(database, run.id).attempt == 1


def test_a_run_that_the_trainer_refuses_has_failed(database, model):
    predictions_only(database, model)
    run = await_end(database, ask(database, now=NOW))
    assert run.state == "failed"
    assert "label" in run.error


def predictions_only(database, model):
    from mlreg.controller.services import feedback
    from tests.run_makers import stream

    rows, _ = stream(START, 31)
    with database.writing() as session:
        feedback.accept(session, model, "predictions", "only", rows, now=NOW)


def test_an_evaluation_records_a_decision_and_changes_nothing(database, clock, model):
    log_stream(database, model, START, 31)
    first = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    log_stream(database, model, START + 31 * DAY, 20)
    clock.moment = NOW + 20 * DAY
    run = await_end(database, ask(database, now=clock.moment))
    before = deployment(database)
    with database.writing() as session:
        request = evaluations.EvaluationRequest(
            catalog.get_model(session, "flights"), "production", run.version, specification()
        )
        number = evaluations.request_evaluation(session, request, actor=PERSON, now=clock.moment)

    def found():
        with database.reading() as session:
            return evaluations.get_evaluation(session, number)

    await_true(lambda: found().state not in {"queued", "running"})
    assert found().state == "succeeded", found().error
    with database.reading() as session:
        again = decisions.get_decision(session, found().decision_id)
        counted = session.exec(select(Version)).all(), session.exec(select(Run)).all()
    assert (again.challenger, again.champion, again.created_by) == (run.version, 1, PERSON.name)
    assert again.verdict == decision_of(database, run).verdict
    assert deployment(database) == before
    assert tuple(map(len, counted)) == (2, 2)


@pytest.mark.usefixtures("model")
def test_failed_runs_of_a_policy_are_one_incident(database):
    for _ in range(2):
        with database.writing() as session:
            run_id = runs.request_run(
                session,
                model=catalog.get_model(session, "flights"),
                environment="production",
                lane="full",
                cause="schedule",
                actor=PERSON,
                firing_id=7,
                specification=specification(),
                now=NOW,
            ).id
        assert await_end(database, run_id).state == "failed"
    with database.reading() as session:
        [story] = incidents.list_incidents(session)
        entries = incidents.get_incident(session, story.incident.id).entries
    assert story.incident.kind == "failed_run"
    assert len(entries) == 2
    assert "can be trained on" in entries[0].line
