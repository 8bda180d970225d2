"""Fault 13: the leader is cut off, stopped or killed while two others stand by.

One leader in each epoch, another one within one and a half times the lease, and of a former leader
no write is taken.
"""

import signal
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import make_url, text
from sqlmodel import select

from mlreg.cli.postgres.roles import APP
from mlreg.controller.services.leadership import LeadershipLostError, Reign, take_leadership
from mlreg.controller.services.tick import tick
from mlreg.controller.store.tables import Firing
from mlreg.registry.store.database import LOCK_TIMEOUT_MS
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.faults.controllers import Plan, Watch, controller
from tests.faults.workers import await_true, count_there
from tests.servers.cable import Cable

TTL_SECONDS = 2.0  # a beat is 0.4 s: of the second beyond it 0.6 s are left to a busy machine
FAILOVER_SECONDS = 1.5 * TTL_SECONDS
DUE = START + DAY + 4 * HOUR


@pytest.fixture
def cable(postgres):
    cable = Cable(postgres.socket_folder)
    yield cable
    cable.close()


@pytest.mark.slow
def test_another_one_leads_in_time_and_one_in_each_epoch(database, database_url, tmp_path, cable):
    through_cable = cable.url(make_url(database_url).database, APP)
    with Watch(database) as watch, ExitStack() as running:

        def start(name, url):
            return running.enter_context(controller(Plan(url, name, TTL_SECONDS), tmp_path))

        def seconds_after(fault, former):
            began, held_up = time.monotonic(), watch.held_up
            fault()
            taken = watch.await_other(former) - began
            return taken - (watch.held_up - held_up)

        processes = {"cut-off": start("cut-off", through_cable)}
        watch.await_other("")
        processes |= {name: start(name, database_url) for name in ("b", "c")}
        await_true(lambda: count_there(database) == 3)

        taken = [seconds_after(cable.cut, "cut-off")]
        cable.mend()
        stopped = watch.leader
        taken.append(seconds_after(lambda: processes[stopped].send_signal(signal.SIGSTOP), stopped))
        processes[stopped].send_signal(signal.SIGCONT)
        watch.await_ticks(4)
        killed = watch.leader
        taken.append(seconds_after(processes[killed].kill, killed))
        watch.await_ticks(2)
    assert max(taken) <= FAILOVER_SECONDS, taken
    assert [one.epoch for one in watch.seen] == list(range(1, len(watch.seen) + 1))
    assert len(watch.seen) == 4 or watch.held_up > TTL_SECONDS / 2


class Overtaken(Reign):
    """A leader that is paused just before it checks, for as long as it takes to be replaced."""

    def check(self, session):
        time.sleep(0.06)
        assert take_leadership(self._database, "other") is not None
        super().check(session)


def test_what_a_former_leader_writes_is_refused(database, store):
    Automation(database, store).clock_now = DUE
    stale = Overtaken(database, take_leadership(database, "paused", ttl_seconds=0.05))
    with pytest.raises(LeadershipLostError, match="paused no longer leads in epoch 1"):
        tick(database, now=DUE, reign=stale)
    with database.reading() as session:
        assert session.exec(select(Firing)).all() == []
        assert session.execute(text("SELECT count(*) FROM job")).scalar_one() == 0
    fresh = Reign(database, take_leadership(database, "other"))
    assert tick(database, now=DUE, reign=fresh).failed == []
    with database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM job")).scalar_one() > 0


def test_a_leader_stopped_in_the_middle_of_a_policy_does_not_hold_up_its_heir(database, store):
    Automation(database, store)
    with database.writing() as stopped:
        stopped.execute(text("SELECT 1 FROM policy_state FOR UPDATE"))
        heir = Reign(database, take_leadership(database, "heir"))
        began = time.monotonic()
        assert tick(database, now=DUE, reign=heir).failed == []
        assert time.monotonic() - began < LOCK_TIMEOUT_MS / 1000, "it has waited for the lock"


def pass_by(database, reign, seconds):
    """Make so much of the lease be over, for the database and for who holds it."""
    reign._taken -= seconds
    with database.writing() as session:
        query = text("UPDATE leader SET until = until - make_interval(secs => :seconds)")
        session.execute(query, {"seconds": seconds})


def test_a_lease_is_renewed_during_a_long_tick(database):
    reign = Reign(database, take_leadership(database, "a", ttl_seconds=100.0), 100.0)
    for _ in range(4):
        pass_by(database, reign, 40.0)
        reign.keep()
        assert take_leadership(database, "b") is None
    pass_by(database, reign, 120.0)
    assert take_leadership(database, "b") is not None
    with pytest.raises(LeadershipLostError):
        reign.keep()
