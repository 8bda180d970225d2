"""Drift over HTTP and from the command line: a window, many windows, and the rows themselves."""

import json

import pytest
from sqlmodel import select

from mlreg.cli.commands import drift as drift_command
from mlreg.client.errors import NotFoundError, RefusedError
from mlreg.client.wire.drift import CompareRequest
from mlreg.controller.api import drift, monitors, policies
from mlreg.controller.domain.windows import HOUR, Interval
from mlreg.controller.services import comparing
from mlreg.controller.services.snapshots import freeze
from mlreg.controller.store.tables import Outage
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.store import tables
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.automation_makers import DAY, POLICY, START, Automation
from tests.run_makers import executor_of_all

TRAINED = Interval(START - 10 * DAY, START)


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, drift.router)


@pytest.fixture
def automation(database, store, tmp_path):
    automation = Automation(database, store, policy=None, now=START)
    automation.folder = tmp_path / "work"
    return automation


@pytest.fixture
def executor(automation):
    automation.executor = executor_of_all()
    return automation.executor


def log_days(automation, shifts, first=START):
    """Log a day for each shift, and read it."""
    for number, shift in enumerate(shifts):
        automation.log(first + number * DAY, shift=shift)
        automation.pass_to(first + (number + 1) * DAY)


@pytest.fixture
def trained(automation):
    """The champion was trained on ten days of the log, and three days came after them."""
    for number in range(10):
        automation.log(TRAINED.start + number * DAY)
    automation.apply(POLICY)
    automation.pass_to(START)
    with automation.database.writing() as session:
        model = session.get_one(tables.Model, automation.model.id)
        times = {"start": TRAINED.start, "end": TRAINED.end, "labels_until": START, "exclude": ()}
        snapshot = freeze(session, model, **times, actor=SYSTEM, now=START)
        version = session.exec(select(tables.Version)).one()
        version.snapshots = [snapshot.digest]
        session.add(version)
    log_days(automation, [0.0, 0.0, 8.0])
    return automation


def done(automation, client, request=None):
    """Ask for a comparison, have it done, and return it."""
    asked = client.drift.compare("flights", request)
    assert asked.state == "queued"
    assert automation.work((comparing.KIND, comparing.HANDLER)) == ["compare"]
    return client.drift.wait(asked.number)


def test_a_window_has_every_size_and_a_verdict(client, automation):
    automation.apply(POLICY)
    log_days(automation, [0.0] * 15 + [8.0])
    temp, *others = client.drift.show("flights").features
    assert (temp.feature, temp.verdict, temp.cramers_v) == ("temp", "unusual", None)
    assert {"psi", "jensen_shannon", "wasserstein", "ks"} <= set(temp.unusual)
    assert temp.wasserstein == pytest.approx(1.0, abs=0.2)
    carrier = next(one for one in others if one.feature == "carrier")
    assert (carrier.verdict, carrier.wasserstein) == ("normal", None)
    assert carrier.cramers_v < 0.1
    days = client.drift.matrix("flights", days=2, feature="temp")
    assert days.features[0].verdicts == ["normal", "unusual"]
    hours = client.drift.matrix("flights", days=2, width="hour", feature="temp")
    assert set(hours.features[0].verdicts) == {None}  # midnight has none of its day's
    before = client.drift.show("flights", window=START + 14 * DAY)
    assert {one.verdict for one in before.features if one.feature == "temp"} == {"normal"}
    assert client.drift.show("flights", window=START).features[0].verdict is None


def test_days_side_by_side(client, automation):
    with pytest.raises(NotFoundError) as caught:
        client.drift.matrix("trains")
    automation.apply(POLICY)
    log_days(automation, [0.0, 0.0, 8.0])
    found = client.drift.matrix("flights", days=3)
    assert found.starts == [START, START + DAY, START + 2 * DAY]
    assert found.rows == [480, 480, 480]
    temp = found.features[0]
    assert temp.feature == "temp"
    assert temp.values[0] < 0.1
    assert temp.values[2] > 0.5
    readings = client.monitors.readings("flights", monitor="psi", subject="temp")
    assert temp.values == pytest.approx([one.value for one in readings])
    (whole,) = [one for one in found.whole if one.feature == "temp"]
    assert temp.values[0] < whole.psi < temp.values[2]
    hours = client.drift.matrix("flights", days=2, width="hour", size="ks", feature="temp")
    assert len(hours.starts) == 48
    assert [one.feature for one in hours.features] == ["temp"]
    with pytest.raises(NotFoundError) as caught:
        client.drift.matrix("flights", feature="snow")
    assert caught.value.code == "feature_not_found"


def test_nothing_serves_and_nothing_can_be_compared(client, database, store):
    Automation(database, store, policy=None, promoted=False)
    with pytest.raises(NotFoundError) as caught:
        client.drift.matrix("flights")
    assert caught.value.code == "no_reference"
    with pytest.raises(RefusedError) as refused:
        client.drift.compare("flights")
    assert refused.value.code == "nothing_to_compare"
    with pytest.raises(NotFoundError) as caught:
        client.drift.comparison(99)
    assert caught.value.code == "comparison_not_found"


def test_exact_tests_of_a_window_against_the_training_rows(client, trained):
    found = done(trained, client).found
    assert (found["rows"], found["reference_rows"]) == (480, 4_800)
    p = {one["feature"]: (one["test"], one["p_value"]) for one in found["tests"]}
    assert p["temp"][0] == "ks"
    assert p["temp"][1] < 1e-6
    assert p["carrier"][0] == "chi_square"
    assert p["carrier"][1] > 0.001
    assert found["joint"]["p_value"] < 0.01
    quiet = CompareRequest(start=START, end=START + DAY, features=["temp", "rain"], rows=300)
    found = done(trained, client, quiet).found
    assert [one["feature"] for one in found["tests"]] == ["temp", "rain"]
    assert (found["rows"], found["reference_rows"]) == (300, 300)
    assert min(one["p_value"] for one in found["tests"]) > 0.001
    with pytest.raises(RefusedError):
        client.drift.compare("flights", CompareRequest(features=["snow"]))


def test_the_hours_of_an_outage_are_left_out_and_said(client, trained):
    down = Interval(START + 2 * DAY - 6 * HOUR, START + 2 * DAY + 6 * HOUR)
    with trained.database.writing() as session:
        session.add(
            Outage(
                model_id=trained.model.id, start=down.start, end=down.end, features=[], share=1.0
            )
        )
    answer = done(trained, client)
    assert answer.found["rows"] == 360
    day, end = START + 2 * DAY, down.end
    assert answer.found["left_out"] == [{"start": day.isoformat(), "end": end.isoformat()}]
    told = f"without an outage, {day:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M}\n"
    assert told in drift_command._found(answer)
    all_of_it = CompareRequest(start=down.start, end=down.end)
    client.drift.compare("flights", all_of_it)
    with pytest.raises(comparing.NothingToCompareError, match="outside its outages has fewer"):
        trained.work((comparing.KIND, comparing.HANDLER))


@pytest.mark.usefixtures("executor")
def test_a_window_is_told_apart_from_the_training_rows(client, trained):
    found = done(trained, client, CompareRequest(question="joint")).found
    assert found["auc"] > 0.7
    assert found["low"] < found["auc"] < found["high"]
    assert found["culprits"][0][0] == "temp"
    (reading,) = client.monitors.readings("flights", monitor="domain_auc")
    assert (reading.start, reading.value) == (START + 2 * DAY, found["auc"])
    assert (reading.low, reading.verdict) == (found["low"], None)
    assert reading.evidence["culprits"][0][0] == "temp"
    assert reading.evidence["rows"] == 480


def test_a_window_without_rows_cannot_be_compared(client, trained):
    later = CompareRequest(start=START + 9 * DAY, end=START + 10 * DAY)
    asked = client.drift.compare("flights", later)
    with pytest.raises(comparing.NothingToCompareError, match="the window has fewer"):
        trained.work((comparing.KIND, comparing.HANDLER))
    assert client.drift.comparison(asked.number).found is None


def test_drift_from_the_command_line(cli, trained):  # noqa: F811 - the fixture
    for words in (["drift", "flights"], ["drift", "flights", "--days", "3"]):
        out = cli(*words)
        assert "temp" in out
        assert max(map(len, out.splitlines())) <= 80
    out = cli("drift", "flights", "--feature", "temp", "--size", "ks")
    assert out.splitlines()[2].split() == ["WINDOW", "ROWS", "KS", "VERDICT"]
    out = cli("drift", "flights", "--window", "2013-07-01")
    assert "2013-07-01 00:00 to 2013-07-02 00:00" in out
    assert "no time" in cli("drift", "flights", "--window", "yesterday", code=2)
    later = cli("drift", "flights", "--window", "2014-07-01", code=3)
    assert "no window that was read begins at 2014-07-01 00:00 UTC" in later
    cli("drift", "flights", "--exact")
    trained.work((comparing.KIND, comparing.HANDLER))
    asked = json.loads(cli("--json", "drift", "flights", "--exact"))
    assert asked["state"] == "queued"
