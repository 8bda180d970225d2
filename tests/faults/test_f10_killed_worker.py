"""Fault 10: kill -9 of a worker in the middle of a job."""

import signal
import time

import pytest

from tests.faults.workers import await_true, effects, enqueue, job_state, worker

LEASE_SECONDS = 1.5
LOOK_SECONDS = 10.0
"""Two, where the machine has nothing else to do; who waits for a chore or a lease of a minute, as
jobs have, does not come near it."""

pytestmark = pytest.mark.usefixtures("effect_table")


def test_the_job_runs_again_soon_after_the_lease(database, database_url, tmp_path):
    job_id = enqueue(database, "count", payload={"seconds": 1.0})
    with (
        worker(database_url, tmp_path / "one", LEASE_SECONDS) as one,
        worker(database_url, tmp_path / "two", LEASE_SECONDS) as two,
    ):
        await_true(lambda: any(tmp_path.glob(f"*/started-{job_id}-1")))
        victim, heir = (one, two) if any(one.folder.glob("started-*")) else (two, one)
        victim.process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        heir.await_start_of(job_id, attempt=2)
        assert time.monotonic() - killed <= LEASE_SECONDS + LOOK_SECONDS
        await_true(lambda: job_state(database, job_id) == ("succeeded", 2))
    assert effects(database) == [(job_id, 2)]
