"""Fault 10: kill -9 of a worker in the middle of a job."""

import signal
import time

import pytest

from tests.faults.workers import (
    await_true,
    count_there,
    effects,
    enqueue,
    job_state,
    worker,
)

LEASE_SECONDS = 1.5
HEIRS_LEASE_SECONDS = 120.0  # who lives loses none, however slow the machine is
LOOK_SECONDS = 10.0
"""Two, where the machine has nothing else to do; who waits for a chore or a lease of a minute, as
jobs have, does not come near it."""

pytestmark = pytest.mark.usefixtures("effect_table")


def test_the_job_runs_again_soon_after_the_lease(database, database_url, tmp_path):
    job_id = enqueue(database, "count", payload={"first_waits": True})
    with worker(database_url, tmp_path / "victim", LEASE_SECONDS) as victim:
        victim.await_start_of(job_id, attempt=1)
        with worker(database_url, tmp_path / "heir", HEIRS_LEASE_SECONDS) as heir:
            await_true(lambda: count_there(database) == 2)
            victim.process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            heir.await_start_of(job_id, attempt=2)
            assert time.monotonic() - killed <= LEASE_SECONDS + LOOK_SECONDS
            await_true(lambda: job_state(database, job_id) == ("succeeded", 2))
    assert effects(database) == [(job_id, 2)]
