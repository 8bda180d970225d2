"""Windows that are odd: one class, nothing but nulls, a constant, a clock that goes back."""

import threading

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import select

from mlreg.controller.services.tick import tick
from mlreg.controller.store import late_hours, tables
from mlreg.controller.store.tables import Reading
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.tables import Contract, Version
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation, labels_of, rows_of
from tests.faults.workers import PATIENCE_SECONDS
from tests.feedback_makers import FEATURES
from tests.makers import make_version


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def log(automation, day, table, values, at=None):
    at = at or day + 23 * HOUR
    automation.accept("predictions", f"p{day:%Y%m%d}", table, at)
    automation.accept("labels", f"l{day:%Y%m%d}", labels_of(table, values), at)


def found(automation, start=START):
    readings = automation.all(Reading)
    return {(one.monitor, one.subject): one for one in readings if one.start == start}


def with_column(table, name, values):
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def test_a_window_of_one_class(automation):
    table, values = rows_of(START)
    log(automation, START, table, np.zeros(len(values)))
    automation.pass_to(START + 3 * DAY)
    said = found(automation)
    assert (said["auc", ""].state, said["auc", ""].value) == ("empty", None)
    assert said["skill_auc", ""].state == "empty"
    assert said["log_loss", ""].state == "final"
    assert said["label_mean", ""].value == 0.0


def test_features_of_nulls_or_of_one_value(automation):
    table, labels = rows_of(START)
    table = with_column(table, "hour", [None] * 480)
    table = with_column(table, "carrier", [None] * 480)
    log(automation, START, with_column(table, "temp", [7.0] * 480), labels)
    automation.pass_to(START + 2 * DAY)
    said = found(automation)
    for name, share in (("hour", 1.0), ("carrier", 1.0), ("temp", 0.0)):
        assert said["null_share", name].value == share
        assert said["psi", name].value > 1.0  # missing is a group of its own
        assert (("ks", name) in said) == (name == "temp")
    assert said["auc", ""].state == "final"


def test_a_clock_that_goes_back_changes_nothing(automation):
    automation.log(START)
    automation.pass_to(START + 2 * DAY + HOUR)
    before = {(one.id, one.value, one.state) for one in automation.all(Reading)}
    automation.clock_now = START - DAY
    for _ in range(3):
        report = automation.tick()
        assert (report.failed, report.windows, report.judged) == ([], 0, 0)
    assert {(one.id, one.value, one.state) for one in automation.all(Reading)} == before


def test_two_who_read_a_window_at_once_read_it_alike(automation, database):
    """Late hours and a window that closes, and two controllers that tick: each is read once."""
    automation.log(START, rows=240)
    automation.pass_to(START + DAY)
    late, _ = rows_of(START, seed=5)
    late = late.set_column(0, "prediction_id", [[f"late-{number}" for number in range(480)]])
    automation.accept("predictions", "late", late, START + DAY + HOUR)
    automation.log(START + DAY)
    automation.clock_now = START + 2 * DAY
    automation.tick()
    automation.work()
    barrier, reports = threading.Barrier(2), []

    def beat():
        barrier.wait(PATIENCE_SECONDS)
        reports.append(tick(database, now=automation.clock_now))

    threads = [threading.Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert [one.failed for one in reports] == [[], []]
    assert automation.value("rows", START) == 720.0
    assert len(found(automation)["rows", ""].evidence["history"]) == 1
    assert automation.value("rows", START + DAY) == 480.0


def promote_other_contract(automation, at):
    """Version 2 has the same features but for its categories; it has no bins yet."""
    form = [dict(one) for one in FEATURES]
    for one in form:
        if one["name"] == "carrier":
            one["categories"] = ["AA", "UA", "DL"]
    contract = FeatureContract.from_json(form)
    with automation.database.writing() as session:
        model = session.exec(select(type(automation.model))).one()
        make_version(session, model, 2)
        body = contract.to_document()
        session.add(Contract(digest=contract.digest, kind="feature", body=body))
        session.flush()
        session.get(Version, (model.id, 2)).feature_contract = contract.digest
    automation.promote(2, at)
    return contract.digest


def test_a_contract_that_changes_between_windows(automation):
    from mlreg.controller.services import referencing

    work = automation.work
    automation.work = lambda: work((referencing.KIND, referencing.HANDLER))
    automation.log(START)
    automation.pass_to(START + DAY)
    before = found(automation)["psi", "temp"].value
    promote_other_contract(automation, START + DAY + HOUR)
    automation.log(START + DAY, version=2)
    automation.pass_to(START + 2 * DAY)
    assert automation.value("rows", START + DAY) == 480.0
    assert found(automation)["psi", "temp"].value == before
    late, _ = rows_of(START, seed=5)
    late = late.set_column(0, "prediction_id", [[f"late-{number}" for number in range(480)]])
    automation.accept("predictions", "late", late, START + 2 * DAY + HOUR)
    automation.pass_to(START + 2 * DAY + HOUR)
    assert automation.value("rows", START) == 960.0  # read under the contract that serves now
    assert {one.state for one in automation.all(Reading) if one.monitor == "psi"} == {"final"}


def test_windows_of_another_length_from_now_on(automation, database):
    automation.log(START)
    automation.pass_to(START + DAY)
    hourly = POLICY.replace("label_delay: 1d", "label_delay: 1d, window: 1h")
    automation.apply(hourly)
    automation.log(START + DAY, at=START + DAY + HOUR)
    automation.pass_to(START + DAY + 3 * HOUR)
    widths = {one.end - one.start for one in automation.all(Reading) if one.monitor == "rows"}
    assert widths == {DAY, HOUR}
    with database.writing() as session:
        late_hours.note(session, automation.model.id, [START + 5 * HOUR], START + DAY)
    automation.pass_to(START + DAY + 3 * HOUR)
    assert automation.all(tables.LateHour) == []
    assert automation.value("rows", START) == 480.0
