"""Fault 11: SIGSTOP of a worker for longer than its lease, then SIGCONT."""

import signal

import pytest

from tests.faults.workers import await_true, effects, end_leases, enqueue, job_state, worker

LEASE_SECONDS = 120.0  # the zombie's is ended; who lives loses none, however slow the machine is

pytestmark = pytest.mark.usefixtures("effect_table")


def test_the_effect_is_done_once_and_the_zombie_says_lease_lost(database, database_url, tmp_path):
    job_id = enqueue(database, "count", payload={"first_waits": True})
    with worker(database_url, tmp_path / "zombie", LEASE_SECONDS) as zombie:
        zombie.await_start_of(job_id, attempt=1)
        zombie.process.send_signal(signal.SIGSTOP)
        end_leases(database)
        with worker(database_url, tmp_path / "heir", LEASE_SECONDS) as heir:
            heir.await_start_of(job_id, attempt=2)
            (zombie.folder / "go-on").touch()
            zombie.process.send_signal(signal.SIGCONT)
            await_true(lambda: "LEASE LOST" in zombie.log)
            await_true(lambda: job_state(database, job_id) == ("succeeded", 2))
            assert "LEASE LOST" not in heir.log
        after = enqueue(database, "count")
        await_true(lambda: job_state(database, after) == ("succeeded", 1))
    assert effects(database) == [(job_id, 2), (after, 1)]
