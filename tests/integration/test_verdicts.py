"""Verdicts on performance and business metrics, and the alerts that come of them."""

from datetime import timedelta

import pytest

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.services import business
from mlreg.controller.store import tables
from mlreg.controller.store.readings import write_readings
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.makers import PERSON


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def remember(automation, monitor, values, *, width=DAY):
    """Write readings of the windows before the start, the newest last."""
    first = START - len(values) * DAY
    found = [
        WindowReading(monitor, "", start, start + width, value, 480)
        for number, value in enumerate(values)
        if (start := first + number * DAY)
    ]
    with automation.database.writing() as session:
        write_readings(session, (automation.model.id, "production"), found, now=START)


def usual(centre, spread=0.005):
    return [centre + spread * ((7 * number) % 5 - 2) for number in range(28)]


def verdicts_of(automation):
    found = automation.all(tables.Reading)
    return {one.monitor: one.verdict for one in found if one.start == START}


def test_a_window_of_bad_performance_is_unusual_and_watched(automation):
    for monitor, centre in (("auc", 0.80), ("log_loss", 0.55), ("brier", 0.30)):
        remember(automation, monitor, usual(centre))
    remember(automation, "accuracy", usual(0.3), width=HOUR)
    automation.log(START, quality=0.0)
    automation.pass_to(START + 2 * DAY)
    found = verdicts_of(automation)
    assert (found["auc"], found["log_loss"]) == ("unusual", "unusual")
    assert found["accuracy"] is None  # its history is of other windows
    assert found["labelled"] is None
    (alert,) = automation.all(tables.Alert)
    assert (alert.kind, alert.state) == ("performance", "pending")


def post(automation, value, at=START + HOUR):
    with automation.database.writing() as session:
        model = session.get_one(type(automation.model), automation.model.id)
        posted = business.Posted("revenue", at, value)
        business.post_value(
            session, model, "production", posted, actor=PERSON, now=automation.clock_now
        )


def test_a_business_metric_is_judged_once_its_window_is_closed(automation):
    remember(automation, "business:revenue", usual(100.0, 1.0))
    automation.clock_now = START + 2 * HOUR
    post(automation, 20.0)
    assert verdicts_of(automation)["business:revenue"] is None
    automation.pass_to(START + DAY)
    assert verdicts_of(automation)["business:revenue"] == "unusual"
    (alert,) = automation.all(tables.Alert)
    assert (alert.kind, alert.culprits, alert.state) == ("business", [], "pending")
    post(automation, 180.0, START + 3 * HOUR)  # it comes after the window closed: the mean is 100
    assert verdicts_of(automation)["business:revenue"] == "normal"


def test_the_past_of_a_new_series_is_no_alarm(automation):
    remember(automation, "business:revenue", usual(100.0, 1.0))
    automation.clock_now = START + 10 * DAY
    post(automation, 20.0)
    assert verdicts_of(automation)["business:revenue"] == "unusual"
    assert automation.all(tables.Alert) == []
    automation.clock_now = START + timedelta(days=2, hours=12)
    post(automation, 21.0, START + DAY)  # yesterday's, posted today
    assert [one.kind for one in automation.all(tables.Alert)] == ["business"]
