"""Fault 22: in a rolling upgrade an old worker meets what only newer ones know.

A kind of job, a key of a specification, a chore: all stay queued for a newer worker, with the
reason, no attempt counted, and nothing fails.
"""

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.services import chores, runs, training_run
from mlreg.controller.services.attempt import Handler
from mlreg.controller.services.chore import ChoreSettings
from mlreg.controller.services.policy_texts import parse_policy, written_policy
from mlreg.controller.services.waiting import why_waiting
from mlreg.controller.services.work import Worker, WorkerParts, WorkerSettings
from tests.automation_makers import POLICY
from tests.faults.workers import await_true, enqueue, job_state
from tests.run_makers import START, FixedClock, ask, get_run, log_of, make_model

OLD = {"train": training_run.HANDLER, "chore": chores.handler(ChoreSettings())}


@contextmanager
def worker(database, name, handlers, folder):
    stop = threading.Event()
    parts = WorkerParts(database, None, FixedClock(START), None, handlers)
    settings = WorkerSettings(name=name, folder=folder, poll_seconds=0.1)
    thread = threading.Thread(target=Worker(parts, settings).run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask_newly(database):
    """Ask for a run as a newer mlreg does, whose policies have a key that nobody here knows."""
    run_id = ask(database, now=START)
    with database.writing() as session:
        newer = "jsonb_set(specification, '{retrain,quantum}', 'true')"
        session.execute(text(f"UPDATE run SET specification = {newer} WHERE id = {run_id}"))
        query = text("SELECT id FROM job WHERE dedupe_key = :key")
        return run_id, session.execute(query, {"key": runs.job_key(run_id)}).scalar_one()


def why(database, run_id):
    with database.reading() as session:
        return why_waiting(session, [runs.get_run(session, run_id)]).get(run_id)


def test_it_stays_queued_for_a_newer_one_and_nothing_fails(database, tmp_path):
    make_model(database)
    with database.writing() as session:
        session.execute(text("DELETE FROM job"))
    unknown = enqueue(database, "quantum")
    chore = enqueue(database, "chore", payload={"name": "quantum"}, max_attempts=1)
    run_id, job_id = ask_newly(database)
    with worker(database, "old", OLD, tmp_path):
        await_true(lambda: "worker old is too old" in (get_run(database, run_id).error or ""))
        await_true(lambda: why(database, run_id) is not None)
        after = enqueue(database, "chore", payload={"name": "parity"})  # others pass it
        await_true(lambda: job_state(database, after)[0] == "succeeded")
        for one in (unknown, chore, job_id):
            assert job_state(database, one) == ("queued", 0)
        assert get_run(database, run_id).state == "queued"
        assert "retrain.quantum: extra inputs are not permitted" in get_run(database, run_id).error
        assert "of an older mlreg" in why(database, run_id)
        assert len([line for line in log_of(database, run_id) if "too old" in line]) == 1

        done = {kind: Handler(lambda _attempt: None) for kind in ("train", "chore", "quantum")}
        with worker(database, "new", done, tmp_path):
            for one in (unknown, chore, job_id):
                await_true(lambda one=one: job_state(database, one) == ("succeeded", 1))


@pytest.mark.parametrize(
    "newer",
    [
        {"quantum": True},
        {"retrain": {"quantum": True}},
        {"triggers": [{"quantum": 1}]},
        {"gates": [{"quantum": 1}]},
    ],
)
def test_a_policy_with_newer_keys_is_no_failure_either(newer):
    body = parse_policy(POLICY).to_json()
    assert written_policy(body).model == "flights"
    with pytest.raises(TooNewError, match="the policy of 'flights' says what this mlreg does not"):
        written_policy({**body, **newer})
