"""Invariants over HTTP and from the command line: declared, read in the log, held against rows."""

import json

import pyarrow as pa
import pytest
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotAllowedError, NotFoundError
from mlreg.controller.api import invariants, monitors, snapshots
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import invariant_readings, snapshot_checks
from mlreg.controller.services import invariants as declaring
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.invariant_readings import MAX_ROWS
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.store.tables import Alert, Outage
from mlreg.registry.store import tables
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.automation_makers import DAY, HOUR, START, Automation, rows_of
from tests.feedback_makers import make_model

FILE = """
model: flights
invariants:
  - {name: temp-sane, range: temp, min: -60, max: 60}
  - {name: temp-known, not_null: temp, at_most: 0.1}
  - {name: carriers, in_set: carrier, values: [AA], severity: alert}
  - {name: hour-mean, mean: hour, equals: 11.5, within: 1}
  - {name: hour-rises, monotone: hour, direction: rising, per: entity, at_most: 0.01}
"""
JOB = (invariant_readings.KIND, invariant_readings.HANDLER)
CHECK = (snapshot_checks.KIND, snapshot_checks.HANDLER)


@pytest.fixture
def extra_routers():
    return (invariants.router, monitors.router, snapshots.router)


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def changed(table, name, values):
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table[name].type))


def log(automation, day, *, entity="plane", **columns):
    """Log a day with some columns changed; every row is of one entity."""
    table, _ = rows_of(day)
    for name, values in columns.items():
        table = changed(table, name, values)
    table = table.append_column("entity", pa.array([entity] * table.num_rows))
    automation.accept("predictions", f"p{day:%Y%m%d}", table, day + 23 * HOUR)


def pass_to(automation, moment):
    """Let time pass, and do the jobs of invariants as they come."""
    automation.clock_now = moment
    for _ in range(10):
        if automation.tick().is_idle:
            return
        automation.work(JOB)


def read(client, name):
    found = client.monitors.readings("flights", monitor=f"invariant:{name}")
    return {one.start: one for one in found}


@pytest.mark.usefixtures("automation")
def test_a_file_is_applied_once_and_numbered(client, database):
    first = client.invariants.apply(FILE)
    assert (first.number, first.model, len(first.invariants)) == (1, "flights", 5)
    assert client.invariants.apply(FILE).number == 1
    assert client.invariants.apply(FILE + "# again\n").number == 2
    assert client.invariants.get("flights", number=1).source == FILE
    assert [one.number for one in client.invariants.history("flights").items] == [2, 1]
    page = client.invariants.history("flights", limit=1)
    rest = client.invariants.history("flights", before=page.next)
    assert ([one.number for one in [*page.items, *rest.items]], rest.next) == ([2, 1], None)
    assert client.invariants.apply("{model: flights, invariants: []}").invariants == []
    with database.reading() as session:
        model = session.exec(select(tables.Model)).one()
        assert declaring.find_invariants(session, model) is None
        written = select(tables.AuditEntry).where(tables.AuditEntry.action == "invariants.apply")
        entries = session.exec(written).all()
    assert [json.loads(one.body)["number"] for one in entries] == [1, 2, 3]
    (sane, *_) = first.invariants
    assert (sane.name, sane.kind, sane.severity, sane.at_most) == ("temp-sane", "range", "block", 0)
    assert sane.rule == "temp >= -60 and temp <= 60"


@pytest.mark.usefixtures("automation")
def test_what_cannot_be_checked_changes_nothing(client, database):
    for text, said in (
        ("model: flights\ninvariants:\n  - {name: a, not_null: snow}", "line 3: invariants[0]: "),
        ("model: flights\ninvariants:\n  - {name: a, matches: carrier, pattern: '('}", "RE2"),
        ("- a", "beginning with `model:`"),
    ):
        with pytest.raises(InvalidError) as caught:
            client.invariants.apply(text)
        assert said in str(caught.value)
        assert caught.value.code == "invalid_invariants"
    with pytest.raises(NotFoundError):
        client.invariants.apply(FILE.replace("flights", "trains"))
    with pytest.raises(NotFoundError) as missing:
        client.invariants.get("flights")
    assert missing.value.code == "invariants_not_found"
    with pytest.raises(NotFoundError):
        client.invariants.check("flights", "sha256:" + "0" * 64)
    with database.writing() as session:
        session.exec(select(tables.Model)).one().feature_schema = None
    with pytest.raises(InvalidError, match="line 2: model: 'flights' declares no features"):
        client.invariants.apply(FILE)


@pytest.mark.usefixtures("automation")
def test_who_may_not_write_policies_may_not_declare(api, client):
    token = client.tokens.create("pipeline", kind="service", role="ci").token
    with api.client(token) as ci, pytest.raises(NotAllowedError):
        ci.invariants.apply(FILE)


def test_a_closed_window_is_read(client, automation):
    client.invariants.apply(FILE)
    log(automation, START)
    pass_to(automation, START + DAY)
    (sane,) = read(client, "temp-sane").values()
    assert (sane.value, sane.rows, sane.state, sane.verdict) == (0.0, 480, "final", "normal")
    (carriers,) = read(client, "carriers").values()
    assert carriers.verdict == "unusual"
    assert 0.4 < carriers.value < 0.6
    assert carriers.evidence["severity"] == "alert"
    assert len(carriers.evidence["examples"]) == 5
    assert all(one.startswith("20130701-") for one in carriers.evidence["examples"])
    assert "UA" not in json.dumps(carriers.evidence)
    (mean,) = read(client, "hour-mean").values()
    assert mean.value == pytest.approx(11.5)
    (alert,) = automation.all(Alert)
    assert (alert.kind, alert.state) == ("invariant", "open")
    latest = {one.name: one.latest for one in client.invariants.get("flights").invariants}
    assert latest["carriers"].verdict == "unusual"
    assert latest["temp-sane"].start == START


def test_order_is_held_over_the_border_of_windows(client, automation):
    """The hour goes back to 0 at midnight: a fall that only the day before shows."""
    client.invariants.apply(FILE)
    for number in range(2):
        log(automation, START + number * DAY)
        pass_to(automation, START + (number + 1) * DAY)
    first, second = read(client, "hour-rises").values()
    assert (first.value, first.verdict) == (0.0, "normal")
    assert second.value == pytest.approx(1 / 480)
    assert second.evidence["examples"] == ["20130702-0"]
    assert second.verdict == "normal"  # 1 % may break it
    log(automation, START + 2 * DAY, hour=[23 - n % 24 for n in range(480)])
    pass_to(automation, START + 3 * DAY)
    assert read(client, "hour-rises")[START + 2 * DAY].verdict == "unusual"


def test_a_window_that_is_checked_again_says_the_same(client, automation):
    client.invariants.apply(FILE)
    log(automation, START, temp=[None if n % 5 == 0 else 99.0 for n in range(480)])
    pass_to(automation, START + DAY)
    before = read(client, "temp-known"), read(client, "temp-sane")
    assert before[0][START].value == pytest.approx(0.2)
    assert before[1][START].value == 1.0
    with automation.database.writing() as session:
        in_force = automation_policy(session, automation)
        assert invariant_readings.enqueue_window(session, in_force, window(START))
        assert not invariant_readings.enqueue_window(session, in_force, window(START))
    assert automation.work(JOB) == ["invariants"]
    assert (read(client, "temp-known"), read(client, "temp-sane")) == before


def test_empty_windows_and_windows_of_an_outage_are_not_judged(client, automation):
    client.invariants.apply(FILE)
    pass_to(automation, START + DAY)
    assert {one.state for one in read(client, "temp-sane").values()} == {"empty"}
    log(automation, START + DAY, temp=[0.0] * 480)
    with automation.database.writing() as session:
        down = {"features": ["temp"], "start": START + DAY, "end": START + DAY + 12 * HOUR}
        session.add(Outage(model_id=automation.model.id, **down, share=1.0))
    pass_to(automation, START + 2 * DAY)
    found = read(client, "temp-sane")[START + DAY]
    assert (found.state, found.value, found.verdict) == ("outage", None, None)


def test_nothing_declared_costs_no_job(automation):
    automation.log(START)
    automation.clock_now = START + DAY
    automation.tick()
    assert "invariants" not in automation.work(JOB)


def test_a_sample_says_that_it_is_one(client, automation, monkeypatch):
    monkeypatch.setattr(invariant_readings, "MAX_ROWS", 100)
    assert MAX_ROWS == 500_000
    client.invariants.apply(FILE)
    log(automation, START)
    pass_to(automation, START + DAY)
    (carriers,) = read(client, "carriers").values()
    assert carriers.evidence["sample"] is True
    assert carriers.rows == 100
    assert carriers.verdict == "unusual"


def freeze(client, automation, first=START, days=1):
    drain_model(
        automation.database, automation.store, automation.model.id, now=automation.clock_now
    )
    return client.snapshots.create("flights", first, first + days * DAY)


def test_a_snapshot_is_checked_by_a_job(client, automation):
    client.invariants.apply(FILE)
    log(automation, START, temp=[99.0 if n < 7 else 20.0 for n in range(480)])
    snapshot = freeze(client, automation)
    asked = client.invariants.check("flights", snapshot.digest)
    assert (asked.state, asked.found) == ("queued", None)
    client.invariants.apply("{model: flights, invariants: []}")  # later: it does not matter
    assert automation.work(CHECK) == ["check"]
    found = client.invariants.wait(asked.number)
    assert (found.rows, found.number, found.blocked) == (480, 1, ["temp-sane"])
    by_name = {one.name: one for one in found.invariants}
    assert (by_name["temp-sane"].broken, by_name["temp-sane"].checked) == (7, 480)
    assert by_name["temp-sane"].examples == [f"20130701-{n}" for n in range(5)]
    assert by_name["carriers"].holds is False
    assert by_name["hour-mean"].value == pytest.approx(11.5)


def test_a_snapshot_of_another_model_is_none(client, automation):
    make_model(automation.database, name="trains")
    log(automation, START)
    snapshot = freeze(client, automation)
    client.invariants.apply(FILE.replace("flights", "trains"))
    with pytest.raises(NotFoundError) as caught:
        client.invariants.check("trains", snapshot.digest)
    assert caught.value.code == "snapshot_not_found"
    with pytest.raises(NotFoundError) as caught:
        client.invariants.get_check(4)
    assert caught.value.code == "check_not_found"


def test_from_the_command_line(cli, client, automation, tmp_path):  # noqa: F811 - the fixture
    file = tmp_path / "invariants.yaml"
    file.write_text(FILE)
    assert "set 1 of flights: 5 invariants are declared" in cli("invariant", "apply", "-f", file)
    log(automation, START, temp=[99.0 if n < 7 else 20.0 for n in range(480)])
    pass_to(automation, START + DAY)
    listed = cli("invariant", "list", "flights")
    assert "temp >= -60 and temp <= 60" in listed
    assert all(len(line) <= 80 for line in listed.splitlines())
    assert cli("invariant", "show", "flights") == FILE
    assert "admin" in cli("invariant", "show", "flights", "--history")
    items = json.loads(cli("invariant", "list", "flights", "--json"))["items"]
    assert [one["kind"] for one in items] == ["range", "not_null", "in_set", "mean", "monotone"]
    assert json.loads(cli("invariant", "show", "flights", "--json"))["number"] == 1
    snapshot = freeze(client, automation)
    said = cli("invariant", "check", "flights", "--snapshot", snapshot.digest)
    assert "is queued" in said
    automation.work(CHECK)
    file.write_text("model: flights\ninvariants:\n  - {name: a, range: temp, min: 3, max: 1}\n")
    said = cli("invariant", "apply", "-f", file, code=2)
    assert "line 3: invariants[0]: no number is in this range" in said


def automation_policy(session, automation):
    return policy_in_force(session, automation.model.id, "production")


def window(start):
    return Interval(start, start + DAY)
