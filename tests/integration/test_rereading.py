"""Windows that are read again: rows came late, or an outage is told that had begun in them."""

import threading

import pytest
from sqlmodel import delete

from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.draining import drain_model
from mlreg.controller.store import late_hours, tables
from mlreg.controller.store.readings import find_reading, list_readings
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation, labels_of, rows_of
from tests.faults.workers import PATIENCE_SECONDS

HOURLY = POLICY.replace("label_delay: 1d", "label_delay: 1d, window: 1h")
SOON = POLICY.replace("label_delay: 1d", "label_delay: 1h")


def window_readings(automation, start, length=DAY):
    with automation.database.reading() as session:
        found = list_readings(
            session,
            model_id=automation.model.id,
            environment="production",
            after=start,
            until=start + length,
        )
        return {(one.monitor, one.subject): one for one in found}


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def test_an_outage_that_is_told_late_leaves_no_drift_behind(database, store):
    """Two bad hours are no outage yet; the third, in the next window, tells of all three."""
    automation = Automation(database, store, policy=HOURLY)
    automation.log(START, broken=(2, 3, 4), rows=2_400)
    for hour in (1, 2, 3, 4):
        automation.clock_now = START + hour * HOUR
        drain_model(database, store, automation.model.id, now=automation.clock_now)
        automation.pass_to(START + hour * HOUR)
    before = window_readings(automation, START + 2 * HOUR, HOUR)
    assert before["wasserstein", "temp"].state == "final"
    automation.pass_to(START + 5 * HOUR)
    (outage,) = automation.all(tables.Outage)
    assert (outage.start, outage.end) == (START + 2 * HOUR, START + 5 * HOUR)
    for hour in (2, 3):
        after = window_readings(automation, START + hour * HOUR, HOUR)
        states = {one.state for one in after.values() if one.monitor not in {"auc", "labelled"}}
        assert "final" not in states
        said = after["wasserstein", "temp"]
        assert (said.state, said.value, said.verdict) == ("outage", None, None)
        assert said.evidence["history"][0]["state"] == "final"
    kept = window_readings(automation, START + HOUR, HOUR)
    assert kept["wasserstein", "temp"].state == "final"


def test_labels_of_a_window_that_becomes_an_outage_do_not_count_any_more(database, store):
    automation = Automation(database, store, policy=SOON)
    automation.log(START, broken=range(22, 24), rows=960)
    automation.log(START + DAY, broken=range(5), rows=960)
    automation.pass_to(START + DAY + HOUR)
    assert automation.value("labelled", START) == 960.0
    automation.pass_to(START + 2 * DAY)
    assert automation.value("labelled", START) == 880.0


def test_rows_that_come_late_are_read_once(automation):
    automation.log(START, rows=240)
    automation.pass_to(START + 3 * DAY)
    assert automation.value("rows", START) == 240.0
    table, values = rows_of(START, seed=5, shift=8.0)
    late = table.set_column(0, "prediction_id", [[f"late-{number}" for number in range(480)]])
    automation.accept("predictions", "late", late, START + 3 * DAY)
    automation.accept("labels", "late", labels_of(late, values), START + 3 * DAY)
    automation.pass_to(START + 3 * DAY + HOUR)
    found = window_readings(automation, START)
    assert found["rows", ""].value == 720.0
    assert found["rows", ""].evidence["history"][0]["value"] == 240.0
    assert found["wasserstein", "temp"].value > 0.5
    assert found["labelled", ""].value == 720.0
    assert automation.all(tables.LateHour) == []
    written = found["rows", ""].created_at
    automation.accept("predictions", "late", late, START + 3 * DAY + 2 * HOUR)
    automation.pass_to(START + 3 * DAY + 2 * HOUR)
    assert window_readings(automation, START)["rows", ""].created_at == written


def test_a_backfill_shows_an_outage_of_the_past_and_wakes_nobody(automation):
    automation.pass_to(START + 2 * DAY)
    assert automation.states("rows")[0] == (START, "empty")
    automation.log(START, broken=range(4, 24), at=START + 2 * DAY)
    automation.pass_to(START + 2 * DAY + HOUR)
    (outage,) = automation.all(tables.Outage)
    assert (outage.start, outage.incident_id) == (START + 4 * HOUR, None)
    assert dict(automation.states("rows"))[START] == "outage"
    assert automation.all(tables.Alert) == automation.all(tables.Incident) == []


def test_hours_before_the_policy_was_there_are_not_read(automation):
    automation.log(START - 5 * DAY, at=START + HOUR)
    automation.pass_to(START + DAY)
    assert automation.all(tables.LateHour) == []
    assert [start for start, _ in automation.states("rows")] == [START]


def test_fewer_rows_than_before_change_nothing(automation, database):
    """Another contract serves that has no profile of the window, or rows were erased."""
    automation.log(START)
    automation.pass_to(START + DAY)
    with database.writing() as session:
        session.exec(delete(tables.WindowProfile))
        late_hours.note(session, automation.model.id, [START], START + DAY)
    automation.pass_to(START + DAY + HOUR)
    assert automation.states("rows") == [(START, "final")]


def test_a_clock_that_goes_back_loses_no_late_hour(automation, database):
    automation.log(START)
    automation.pass_to(START + DAY)
    with database.writing() as session:
        late_hours.note(session, automation.model.id, [START], START - 30 * DAY)
    assert [one.start for one in automation.all(tables.LateHour)] == [START]


def test_rows_that_are_drained_while_hours_are_taken_are_not_lost(automation, database):
    """A drain holds what it notes: who takes it waits, and then sees the drain's profiles."""
    place = (automation.model.id, "production")
    automation.log(START, rows=240)
    automation.pass_to(START + DAY)
    noted, taken = threading.Event(), []
    with database.writing() as session:
        late_hours.note(session, place[0], [START], START + DAY)

    def take():
        with database.writing() as session:
            assert noted.wait(PATIENCE_SECONDS)
            taken.extend(late_hours.take(session, place, START + DAY, 100))
            window = Interval(START, START + DAY)
            taken.append(find_reading(session, place, "rows", window).rows)

    thread = threading.Thread(target=take)
    thread.start()
    with database.writing() as session:
        late_hours.note(session, place[0], [START], START + DAY)
        noted.set()
        thread.join(0.3)
        row = find_reading(session, place, "rows", Interval(START, START + DAY))
        row.rows = 1_000
        session.add(row)
    thread.join(PATIENCE_SECONDS)
    assert taken == [START, 1_000]
