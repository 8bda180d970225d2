"""Fault 20: kill -9 between any two steps of a run: of the worker, and the controller with it."""

import pytest
from sqlmodel import select

from mlreg.controller.services import jobs
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.services.runs import request_run
from mlreg.controller.store.tables import Firing, Run
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import audit, catalog
from mlreg.registry.store.tables import Decision, Revision, Version
from tests.automation_makers import HOUR
from tests.faults.controllers import Plan, Watch, controller
from tests.faults.workers import await_true, end_leases, run_worker_process
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

LEASE_SECONDS = 120.0  # who lives loses none, however slow the machine is
PATIENCE_SECONDS = 180.0
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
NIGHTLY = ["run_frozen", "run_trained", "run_judged", "run_promoted"]
STEPS = ["run_registered", *(pytest.param(step, marks=pytest.mark.nightly) for step in NIGHTLY)]

pytestmark = pytest.mark.timeout(4 * PATIENCE_SECONDS)


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
    with run_worker_process(database_url, tmp_path, SECOND, step, LEASE_SECONDS) as victim:
        assert victim.wait(PATIENCE_SECONDS) == -9
    assert get_run(database, run_id).state == "running"
    end_leases(database)
    with run_worker_process(database_url, tmp_path, SECOND, lease_seconds=LEASE_SECONDS):
        run = await_end(database, run_id, seconds=PATIENCE_SECONDS)
    assert (run.state, run.attempt) == ("succeeded", 2), log_of(database, run_id)
    assert count(database, Version) == 2
    assert count(database, Decision) == 2
    state = deployment(database)
    assert (state.champion, state.revision) == (2, 2), log_of(database, run_id)
    with database.reading() as session:
        revision = session.exec(select(Revision).where(Revision.number == 2)).one()
        assert (revision.cause, revision.decision_id) == ("policy", run.decision_id)
        audit.verify(session)


def firings(database):
    with database.reading() as session:
        return session.exec(select(Firing)).all()


def count_jobs(database):
    with database.reading() as session:
        return jobs.count_open(session)


@pytest.mark.nightly
@pytest.mark.parametrize("step", STEPS)
def test_the_whole_cycle_goes_on_under_another_controller(
    database, database_url, tmp_path, champion, step
):
    del champion
    due = SECOND + 3 * HOUR
    clock = f"{due.isoformat()},{due.isoformat()},0"  # time stands still
    with controller(Plan(database_url, "first", 1.0, clock), tmp_path) as first:
        with run_worker_process(database_url, tmp_path, clock, step, LEASE_SECONDS) as victim:
            assert victim.wait(PATIENCE_SECONDS) == -9
        first.kill()
    end_leases(database)
    [fired] = firings(database)
    assert (fired.outcome, fired.fire_at) == ("run", due)
    with database.reading() as session:
        [run_id] = session.exec(select(Run.id).where(Run.firing_id == fired.id)).all()
    with (
        Watch(database) as watch,
        controller(Plan(database_url, "second", 1.0, clock), tmp_path),
        run_worker_process(database_url, tmp_path, clock, lease_seconds=LEASE_SECONDS),
    ):
        run = await_end(database, run_id, seconds=PATIENCE_SECONDS)
        watch.await_ticks(3, PATIENCE_SECONDS)
        await_true(lambda: count_jobs(database) == 0, PATIENCE_SECONDS)
    assert (run.state, run.attempt) == ("succeeded", 2), log_of(database, run_id)
    assert len(firings(database)) == 1
    assert (count(database, Version), count(database, Decision)) == (2, 2)
    state = deployment(database)
    assert (state.champion, state.revision) == (2, 2), log_of(database, run_id)
    with database.reading() as session:
        audit.verify(session)
