"""Two controllers and two workers on one database, each killed or stopped again and again.

A policy is due every five seconds. Of each due time there is one firing, of each firing that asks
for a run one run, of each run that succeeds one version; at the end nothing is left running.
"""

import random
import signal
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.store.tables import Firing, PolicyState, Run
from mlreg.registry.services import audit
from mlreg.registry.store.clock import DatabaseClock
from mlreg.registry.store.tables import Version
from tests.faults.controllers import Plan, Watch, controller
from tests.faults.fast_clock import FastClock
from tests.faults.workers import await_true, run_worker_process
from tests.makers import PERSON
from tests.run_makers import DAY, START, log_stream, make_model

SPEED = 60
EVERY = timedelta(minutes=5)  # of business time: five seconds
TTL_SECONDS = 2.0
STORM_SECONDS = 60
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 10d, label_delay: 1d}
triggers: [{schedule: "*/5 * * * *", catch_up: all}]
cooldown: 1m
retrain:
  params: {num_leaves: 7, min_data_in_leaf: 20, objective: binary}
  rounds: 5
gates:
  - {champion: log_loss, margin: 0.1}
"""


class Fleet:
    """Processes that are started again when they die, until the storm is over."""

    def __init__(self, database, url, folder, clock):
        self._database, self._url, self._folder, self._clock = database, url, folder, clock
        self.faults = Counter()
        self._running = {}
        self._stack = ExitStack()
        for name in ("controller-1", "controller-2", "worker-1", "worker-2"):
            self._start(name)

    def _start(self, name):
        stack = self._stack.enter_context(ExitStack())
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        if name.startswith("controller"):
            plan = Plan(self._url, name, TTL_SECONDS, self._clock)
            process = stack.enter_context(controller(plan, folder))
        else:
            store = folder / "store"
            if not store.is_symlink():
                store.symlink_to(self._folder / "store")
            process = stack.enter_context(run_worker_process(self._url, folder, self._clock))
        self._running[name] = (process, stack)

    def strike(self, rng):
        """Kill one of them, and start it again after a while; or stop one for a while."""
        name = rng.choice(sorted(self._running))
        process, stack = self._running[name]
        fault = rng.choice(["SIGKILL", "SIGSTOP"])
        self.faults[f"{fault} {name[:-2]}"] += 1
        process.send_signal(getattr(signal, fault))
        time.sleep(rng.uniform(0.2, 1.5 * TTL_SECONDS))
        if fault == "SIGSTOP":
            process.send_signal(signal.SIGCONT)
        else:
            stack.close()
            self._start(name)

    def close(self):
        self._stack.close()


def all_of(database, query):
    with database.reading() as session:
        return session.exec(query).all()


def is_quiet(database):
    return not all_of(database, select(Run).where(Run.state.in_(["queued", "running"])))


def storm(database, url, folder, seconds, seed=7):
    """Return what was done to them, and who led."""
    (folder / "store").mkdir()
    model = make_model(database)
    log_stream(database, model, START, 33)
    now = START + 33 * DAY + timedelta(hours=3)
    clock = FastClock(database, DatabaseClock(database).now(), now, SPEED)
    with database.writing() as session:
        apply_policy(session, POLICY, git=None, actor=PERSON, now=now)
    fleet, rng = Fleet(database, url, folder, clock.spelt), random.Random(seed)
    with Watch(database) as watch:
        try:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                fleet.strike(rng)
            ticks = watch.ticks
            watch.await_ticks(5)
            with database.writing() as session:
                session.exec(select(PolicyState)).one().enabled = False
            await_true(lambda: is_quiet(database), 120)
        finally:
            fleet.close()
    return fleet.faults, watch, now, ticks


def check(database, began):
    firings = all_of(database, select(Firing).order_by(Firing.fire_at))
    state = all_of(database, select(PolicyState))[0]
    until = PolicyMemory.from_json(state.memory).judged_at
    due = [began + number * EVERY for number in range(1, (until - began) // EVERY + 1)]
    assert [one.fire_at for one in firings] == due
    runs = all_of(database, select(Run))
    asked = [one.id for one in firings if one.outcome == "run"]
    assert sorted(run.firing_id for run in runs) == asked
    made = [run.version for run in runs if run.version is not None]
    versions = [one.number for one in all_of(database, select(Version))]
    assert sorted(made) == sorted(versions)
    with database.reading() as session:
        audit.verify(session)
    return firings, runs


@pytest.mark.nightly
@pytest.mark.timeout(10 * STORM_SECONDS)
def test_every_due_time_fires_once_and_none_is_missed(database, database_url, tmp_path):
    faults, watch, began, _ = storm(database, database_url, tmp_path, STORM_SECONDS)
    firings, runs = check(database, began)
    epochs = [one.epoch for one in watch.seen]
    assert epochs == sorted(set(epochs))
    assert len(firings) >= STORM_SECONDS / 5 / 2
    assert {run.state for run in runs} <= {"succeeded", "dead"}
    print(dict(faults), Counter(one.outcome for one in firings), Counter(r.state for r in runs))
    print("epochs", len(epochs), "attempts", Counter(run.attempt for run in runs))
