"""Fault 16: the clock of the controller's machine jumps by an hour, or by a day, to and fro.

The database's clock is true. No lease ends early, no beat is put off, and what is due is done once,
when it is due.
"""

from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.controller.services.policies import apply_policy
from mlreg.controller.store.tables import Firing
from mlreg.registry.store.clock import DatabaseClock
from tests.faults.controllers import Plan, Watch, controller
from tests.faults.workers import await_true
from tests.feedback_makers import make_model
from tests.makers import PERSON

TTL_SECONDS = 15.0
"""Far below any jump, and more than a busy machine puts a beat off."""
HOUR, DAY = 3_600, 86_400
JUMPS = [
    (DAY, -HOUR),
    pytest.param((HOUR, -HOUR, DAY, -DAY, DAY, 0), marks=pytest.mark.nightly),
]
EVERY_MINUTE = """
model: {name}
triggers: [{{schedule: "* * * * *", catch_up: all}}]
"""


def make_due(database, name):
    """Put a policy in force whose first minute has just passed; return that minute."""
    now = DatabaseClock(database).now()
    due = now.replace(second=0, microsecond=0)
    make_model(database, name)
    with database.writing() as session:
        text = EVERY_MINUTE.format(name=name)
        apply_policy(session, text, git=None, actor=PERSON, now=due - timedelta(seconds=1))
    return due


def firings(database):
    with database.reading() as session:
        return [(one.model_id, one.fire_at) for one in session.exec(select(Firing)).all()]


@pytest.mark.slow
@pytest.mark.parametrize("jumps", JUMPS, ids=len)
def test_nothing_is_missed_or_done_twice_or_too_early(database, database_url, tmp_path, jumps):
    host_clock = tmp_path / "host-clock"
    host_clock.write_text("0")
    plan = Plan(database_url, "jumping", TTL_SECONDS)
    due = []
    with Watch(database) as watch, controller(plan, tmp_path, host_clock):
        watch.await_ticks(1)
        for number, seconds in enumerate(jumps):
            host_clock.write_text(str(seconds))
            due.append(make_due(database, f"m{number}"))
            await_true(lambda: len({model for model, _ in firings(database)}) == len(due))
        watch.await_ticks(2)
        now = DatabaseClock(database).now()
    assert [one.epoch for one in watch.seen] == [1]
    found = firings(database)
    assert len(found) == len(set(found))
    assert all(at <= now for _, at in found)
    models = sorted({model for model, _ in found})
    assert [min(at for one, at in found if one == model) for model in models] == due
