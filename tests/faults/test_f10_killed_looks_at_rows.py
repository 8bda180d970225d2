"""Fault 10, the looks at rows: kill -9 of the worker in a check of a window, and in a replay."""

import json
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import feedback, invariant_readings, invariants, parity
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.policies import apply_policy, policy_in_force
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.tables import Job, Reading
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.store import tables
from tests.automation_makers import POLICY
from tests.faults.workers import (
    PATIENCE_SECONDS,
    await_true,
    end_leases,
    job_state,
    run_worker_process,
)
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_stream,
    make_model,
    promote_by_hand,
    stream,
    worker,
)

LEASE_SECONDS = 120.0  # the killed one's is ended; who lives loses none on a busy machine
TRAINED = START + 32 * DAY
ROWS_OF = START + 33 * DAY
NOW = START + 34 * DAY + timedelta(hours=5)
FILE = """
model: flights
invariants:
  - {name: carriers, in_set: carrier, values: [AA]}
  - {name: temp-sane, range: temp, min: -200, max: 200}
"""


@pytest.fixture
def champion(database, tmp_path):
    """A trained champion, a day of rows that say they are its own, a policy, two invariants."""
    store = FolderStore(tmp_path / "store")
    model = make_model(database)
    log_stream(database, model, START, 31)
    with worker(database, store, FixedClock(TRAINED), tmp_path / "work"):
        run = await_end(database, ask(database, now=TRAINED))
    promote_by_hand(database, run.version, now=TRAINED, actor=PERSON)
    rows, _ = stream(ROWS_OF, 1)
    with database.writing() as session:
        model = session.exec(select(tables.Model)).one()
        rows = rows.append_column("version", [[1] * rows.num_rows])
        feedback.accept(session, model, "predictions", "day", rows, now=NOW)
        apply_policy(session, POLICY, git=None, actor=PERSON, now=NOW)
        invariants.apply_invariants(session, FILE, actor=PERSON, now=NOW)
    drain_model(database, store, model.id, now=NOW)
    return model


def ask_for_window(session, model):
    in_force = policy_in_force(session, model.id, "production")
    window = Interval(ROWS_OF, ROWS_OF + DAY)
    assert invariant_readings.enqueue_window(session, in_force, window)


def ask_for_replay(session, model):
    parity.enqueue_parity(session, model.id, 1, parity.Asked(start=ROWS_OF), NOW)


def readings(database):
    with database.reading() as session:
        found = session.exec(select(Reading).order_by(Reading.monitor)).all()
    return [(one.monitor, one.value, one.rows, one.verdict) for one in found]


@pytest.mark.parametrize(
    ("enqueue", "kind", "failpoint", "monitors"),
    [
        (
            ask_for_window,
            "invariants",
            "invariants_checked",
            ["invariant:carriers", "invariant:temp-sane"],
        ),
        (ask_for_replay, "parity", "parity_replayed", ["parity"]),
    ],
)
def test_another_worker_writes_what_the_killed_one_would_have(
    database, database_url, tmp_path, champion, enqueue, kind, failpoint, monitors
):
    with database.writing() as session:
        enqueue(session, champion)
        session.flush()
        job = session.exec(select(Job.id).where(Job.kind == kind)).one()
    with run_worker_process(database_url, tmp_path, NOW, failpoint, LEASE_SECONDS) as victim:
        assert victim.wait(PATIENCE_SECONDS) == -9
    assert job_state(database, job) == ("running", 1)
    assert readings(database) == []
    end_leases(database)
    with run_worker_process(database_url, tmp_path, NOW, lease_seconds=LEASE_SECONDS):
        await_true(lambda: job_state(database, job) == ("succeeded", 2))
    found = readings(database)
    assert [monitor for monitor, *_ in found] == monitors
    assert all(rows == 200 for _, _, rows, _ in found)
    with database.reading() as session:
        outcome = find_job(session, job).outcome
    if kind == "parity":  # the log's scores are noise: no model said them
        assert outcome["differ"] == 200
        assert found == [("parity", 1.0, 200, "unusual")]
        assert "temp" not in json.dumps(outcome)
