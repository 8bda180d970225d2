"""Fault 14: two controllers both believe that they lead, and tick at the same moment.

Still exactly one firing, one run and one job per (policy, moment). Three lines hold that, each of
them alone: the row lock of the policy, the record of a moment (one per policy, which waits for the
other's commit), and a firing that is unique. Without all three, three runs come of each moment.
"""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from mlreg.controller.store import tables
from tests.automation_makers import POLICY, START, Automation
from tests.faults.workers import PATIENCE_SECONDS

ROUNDS = 6


@pytest.fixture
def controllers(database_url):
    script = Path(__file__).with_name("ticking_process.py")
    words = [sys.executable, str(script), database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    found = [subprocess.Popen(words, **pipes) for _ in range(3)]
    for one in found:
        assert one.stdout.readline() == "ready\n"
    yield found
    for one in found:
        one.stdin.close()
        one.wait(PATIENCE_SECONDS)
        one.stdout.close()


@pytest.mark.slow
def test_exactly_one_run_per_policy_and_moment(database, store, controllers):
    often = POLICY.replace("0 3 * * *", "*/2 * * * *").replace("cooldown: 1h", "cooldown: 1m")
    Automation(database, store, policy=often)
    for number in range(1, ROUNDS + 1):
        _end_runs(database)
        moment = (START + number * timedelta(minutes=2)).isoformat() + "\n"
        for one in controllers:
            one.stdin.write(moment)
        answers = [one.stdout.readline().split() for one in controllers]
        assert [failed for _, failed in answers] == ["0", "0", "0"]
    with database.reading() as session:
        firings = session.exec(select(tables.Firing)).all()
        runs = session.exec(select(tables.Run)).all()
        jobs = session.exec(select(tables.Job).where(tables.Job.kind == "train")).all()
    assert len(firings) == len({firing.fire_at for firing in firings}) == ROUNDS
    fired = sorted(firing.id for firing in firings if firing.outcome == "run")
    assert sorted(run.firing_id for run in runs) == fired
    assert sorted(job.payload["run_id"] for job in jobs) == sorted(run.id for run in runs)
    assert len(fired) == ROUNDS


def _end_runs(database):
    with database.writing() as session:
        for run in session.exec(select(tables.Run)).all():
            run.state = "succeeded"
