"""Fault 19: many jobs, two workers, and every two seconds one of them is killed.

All jobs have their effect, and each exactly once.
"""

import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from mlreg.controller.services import jobs
from mlreg.controller.services.jobs import JobRequest
from tests.faults.workers import WorkerProcess, effects

JOBS, KILL_SECONDS, PATIENCE_SECONDS = 10_000, 2.0, 900.0
LEASE_SECONDS = 1.0

pytestmark = pytest.mark.usefixtures("effect_table")


@pytest.mark.nightly
@pytest.mark.timeout(2 * PATIENCE_SECONDS)
def test_each_of_ten_thousand_jobs_has_its_effect_once(database, database_url, tmp_path):
    with database.writing() as session:
        wanted = [
            JobRequest("count", {"model_id": number % 7}, max_attempts=20) for number in range(JOBS)
        ]
        added = jobs.enqueue_all(session, wanted)
    kills = storm(database, database_url, tmp_path)
    assert kills > 3
    done = effects(database)
    assert sorted(job for job, _ in done) == sorted(added)
    assert any(attempt > 1 for _, attempt in done)
    with database.reading() as session:
        states = session.execute(text("SELECT state, count(*) FROM job GROUP BY 1")).all()
    assert [tuple(one) for one in states] == [("succeeded", JOBS)]


def storm(database, url, folder):
    """Let two workers work, one of which is killed and replaced every two seconds."""
    kills, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as stack:
        workers = [start(stack, url, folder / "0"), start(stack, url, folder / "1")]
        while open_jobs(database):
            assert time.monotonic() < deadline, "the jobs do not end"
            time.sleep(KILL_SECONDS)
            victim = workers[kills % 2]
            if any(victim.folder.glob("started-*")):  # on a busy machine a start takes longer
                victim.process.kill()
                workers[kills % 2] = start(stack, url, folder / str(kills + 2))
                kills += 1
    return kills


def start(stack, url, folder):
    one = WorkerProcess(url, folder, LEASE_SECONDS)
    stack.callback(one.close)
    return one


def open_jobs(database):
    with database.reading() as session:
        return jobs.count_open(session)
