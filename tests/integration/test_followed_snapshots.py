"""A policy that follows another model's snapshots is shown each of them once."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import Interval
from mlreg.controller.store import tables
from mlreg.controller.store.snapshots import keep_snapshot
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.feedback_makers import make_model

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{upstream: weather@snapshot}]
cooldown: 1m
"""


def body(days):
    return SnapshotBody(
        model="weather",
        predictions=(),
        labels=(),
        range=Interval(START - days * DAY, START),
        labels_until=START,
        max_label_delay=DAY,
    )


BODIES = sorted(map(body, range(1, 6)), key=lambda one: one.digest)


@pytest.fixture
def automation(database, store):
    found = Automation(database, store, policy=None, now=START + 8 * HOUR)
    found.weather = make_model(database, "weather")
    keep(found, BODIES[3])
    found.apply(POLICY)
    return found


def keep(automation, one):
    with automation.database.writing() as session:
        at = automation.clock_now
        model_id = automation.weather.id
        return keep_snapshot(session, model_id, one, created_at=at, created_by="ada").serial


def shown(automation):
    """Return the digests that the newest look was shown, a minute later, when no run is open."""
    with automation.database.writing() as session:
        for run in session.exec(select(tables.Run)).all():
            run.state = "succeeded"
    before = len(automation.all(tables.Firing))
    automation.pass_to(automation.clock_now + timedelta(minutes=1))
    found = automation.all(tables.Firing)[before:]
    return [one["snapshot"] for firing in found for one in firing.readings[0]["readings"]]


def test_snapshots_of_one_moment_are_shown_in_the_order_in_which_they_came(automation):
    assert shown(automation) == []  # what was there is not new
    for number in (2, 4, 0):
        keep(automation, BODIES[number])
        assert shown(automation) == [BODIES[number].digest]
    automation.clock_now -= HOUR  # made by a host whose clock is behind
    keep(automation, BODIES[1])
    automation.clock_now += HOUR
    assert shown(automation) == [BODIES[1].digest]


def test_one_that_is_deleted_hides_none_that_comes_after(automation):
    with automation.database.writing() as session:
        session.execute(text("DELETE FROM snapshot"))
    assert [keep(automation, BODIES[0]), keep(automation, BODIES[0])] == [2, 2]
    assert shown(automation) == [BODIES[0].digest]
