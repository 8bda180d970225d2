"""Fault 20, the run's half: kill -9 of the worker between any two steps of a run."""

import pytest
from sqlmodel import select

from mlreg.controller.services.policies import apply_policy
from mlreg.controller.services.runs import request_run
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.tables import Decision, Revision, Version
from tests.faults.workers import run_worker_process
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
    worker,
)

FIRST = START + 32 * DAY
SECOND = FIRST + 20 * DAY
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 10d, label_delay: 1d}
triggers: [{schedule: "0 3 * * *"}]
retrain:
  params: {num_leaves: 7, min_data_in_leaf: 20, objective: binary}
  rounds: 20
gates:
  - {champion: log_loss, margin: 0.1}
  - {baseline: prior, metric: log_loss}
"""
STEPS = ["run_frozen", "run_trained", "run_registered", "run_judged", "run_promoted"]


@pytest.fixture
def champion(database, tmp_path):
    """A model with a champion of its own runs, more rows, and a policy."""
    store = FolderStore(tmp_path / "store")
    model = make_model(database)
    log_stream(database, model, START, 31)
    with worker(database, store, FixedClock(FIRST), tmp_path / "work"):
        first = await_end(database, ask(database, now=FIRST))
    promote_by_hand(database, first.version, now=FIRST, actor=PERSON)
    log_stream(database, model, START + 31 * DAY, 21)
    with database.writing() as session:
        return apply_policy(session, POLICY, git=None, actor=PERSON, now=SECOND).policy_id


def ask_by_policy(database, policy_id):
    with database.writing() as session:
        return request_run(
            session,
            model=catalog.get_model(session, "flights"),
            environment="production",
            lane="refit",
            cause="schedule",
            actor=PERSON,
            policy_id=policy_id,
            now=SECOND,
        ).id


def count(database, table):
    with database.reading() as session:
        return len(session.exec(select(table)).all())


@pytest.mark.parametrize("step", STEPS)
def test_it_goes_on_after_its_last_finished_step(database, database_url, tmp_path, champion, step):
    run_id = ask_by_policy(database, champion)
    with run_worker_process(database_url, tmp_path, SECOND, step) as victim:
        assert victim.wait(timeout=40) == -9
    assert get_run(database, run_id).state == "running"
    with run_worker_process(database_url, tmp_path, SECOND):
        run = await_end(database, run_id, seconds=40)
    assert (run.state, run.attempt) == ("succeeded", 2), log_of(database, run_id)
    assert count(database, Version) == 2
    assert count(database, Decision) == 2
    state = deployment(database)
    assert (state.champion, state.revision) == (2, 2), log_of(database, run_id)
    with database.reading() as session:
        revision = session.exec(select(Revision).where(Revision.number == 2)).one()
        assert (revision.cause, revision.decision_id) == ("policy", run.decision_id)
        audit.verify(session)
