"""Policies, readings, drift, incidents and the clock, over HTTP and from the command line."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.controller.api import clock, drift, incidents, monitors, policies
from mlreg.controller.domain.collecting import Collection
from mlreg.controller.store.tables import PolicyState
from tests.automation_makers import DAY, POLICY, START, Automation


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, drift.router, incidents.router, clock.router)


@pytest.fixture
def automation(database, store):
    return Automation(database, store, policy=None)


@pytest.fixture
def cli(api, tmp_path):
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLREG_")},
        "MLREG_URL": api.url,
        "MLREG_TOKEN": api.token,
        "MLREG_CONFIG_DIR": str(tmp_path),
    }

    def run(*words, code=0):
        command = [sys.executable, "-m", "mlreg.cli", *map(str, words)]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.mark.usefixtures("automation")
def test_a_policy_is_applied_once_and_switched(client):
    first = client.policies.apply(POLICY)
    assert (first.number, first.enabled, first.model) == (1, True, "flights")
    assert client.policies.apply(POLICY).number == 1
    assert client.policies.apply(POLICY + "# again\n").number == 2
    assert not client.policies.disable("flights").enabled
    assert client.policies.enable("flights").enabled
    assert client.policies.get("flights").policy["retrain"]["rounds"] == 10
    assert client.policies.firings("flights").items == []


@pytest.mark.usefixtures("automation")
def test_a_policy_that_is_wrong_changes_nothing(client):
    with pytest.raises(InvalidError, match=r"line 5: triggers\[0\]\.schedule") as caught:
        client.policies.apply(POLICY.replace("0 3 * * *", "0 33 * * *"))
    assert caught.value.code == "invalid_policy"
    with pytest.raises(NotFoundError, match="no model 'trains'"):
        client.policies.apply(POLICY.replace("flights", "trains"))
    with pytest.raises(NotFoundError, match="no environment 'moon'"):
        client.policies.apply(POLICY + "environment: moon\n")
    with pytest.raises(InvalidError, match="no feature 'snow'"):
        client.policies.apply(POLICY + "gates: [{slices: [snow]}]\n")
    with pytest.raises(NotFoundError) as caught:
        client.policies.get("flights")
    assert caught.value.code == "policy_not_found"


def test_readings_and_drift(client, automation):
    assert client.drift.show("flights").start is None
    automation.apply(POLICY)
    automation.log(START, shift=10.0)
    automation.pass_to(START + DAY)
    (rows,) = client.monitors.readings("flights", monitor="rows")
    assert (rows.value, rows.state, rows.start) == (480.0, "final", START)
    found = client.drift.show("flights")
    assert found.features[0].feature == "temp"
    assert found.features[0].psi > 0.5
    with pytest.raises(NotFoundError):
        client.monitors.readings("trains")


def test_incidents(client, automation):
    automation.apply(POLICY)
    automation.log(START, broken=range(24))
    automation.pass_to(START + DAY)
    (incident,) = client.incidents.list(model="flights", state="open").items
    assert incident.kind == "outage"
    closed = client.incidents.close(incident.number, "the vendor is back")
    assert [entry.line for entry in closed.entries][-1] == "the vendor is back"
    assert closed.state == "closed"
    with pytest.raises(RefusedError) as caught:
        client.incidents.close(incident.number)
    assert caught.value.code == "incident_closed"
    assert "# Incident 1" in client.incidents.report(incident.number)
    with pytest.raises(NotFoundError):
        client.incidents.get(99)


@pytest.mark.usefixtures("automation")
def test_the_clock(client):
    answer = client.clock.get()
    assert (answer.now, answer.virtual) == (START, True)
    assert client.clock.advance(START + timedelta(hours=1)).now == START + timedelta(hours=1)
    with pytest.raises(InvalidError) as caught:
        client.clock.advance(START)
    assert caught.value.code == "time_goes_forward"


def test_real_time_cannot_be_advanced(client):
    assert not client.clock.get().virtual
    with pytest.raises(InvalidError) as caught:
        client.clock.advance(START)
    assert caught.value.code == "no_virtual_clock"


@pytest.mark.slow
def test_the_command_line(cli, automation, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    assert "no policy" in cli("policy", "show", "flights", code=3)
    automation.apply(POLICY)
    assert "policy 1 is in force for flights" in cli("policy", "apply", "-f", file)
    automation.log(START, broken=range(24))
    automation.pass_to(START + DAY + timedelta(hours=4))
    shown = cli("policy", "show", "flights")
    assert "schedule" in shown
    assert "outage" in shown
    assert json.loads(cli("policy", "show", "flights", "--json"))["number"] == 1
    assert cli("policy", "show", "flights", "--source") == POLICY
    assert "2013-07-01" in cli("monitor", "show", "flights")
    assert "nothing to compare" in cli("drift", "flights")
    listed = " ".join(cli("incident", "list", "--open").split())
    assert "features at their defaults: temp" in listed
    assert "up to 100% of the rows" in " ".join(cli("incident", "show", "1").split())
    assert "incident 1 is closed" in cli("incident", "close", "1", "--reason", "seen")
    assert cli("incident", "report", "1").startswith("# Incident 1")
    assert "virtual" in cli("clock", "show")
    assert "disabled" in cli("policy", "disable", "flights")
    file.write_text(POLICY.replace("rounds: 10", "rounds: ten"))
    problem = cli("policy", "apply", "-f", file, code=2)
    assert "line 7: retrain.rounds" in problem
    assert len(problem.splitlines()) == 1
    assert "nothing.yaml" in cli("policy", "apply", "-f", tmp_path / "nothing.yaml", code=3)
    file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in cli("policy", "apply", "-f", file, code=2)


@pytest.mark.usefixtures("automation")
def test_what_a_run_waits_for_after_a_change_is_shown(client, cli, database):
    client.policies.apply(POLICY)
    assert client.policies.get("flights").collecting is None
    collection = Collection(START, START + DAY, 20_000, rows=960)
    with database.writing() as session:
        (state,) = session.exec(select(PolicyState)).all()
        state.memory = {**state.memory, "collection": collection.to_json()}
    shown = client.policies.get("flights").collecting
    assert (shown.stage, shown.rows, shown.needed) == ("collecting", 960, 20_000)
    words = f"collecting 960 of 20,000 labelled rows since the change of {START:%Y-%m-%d %H:%M} UTC"
    assert words in cli("policy", "show", "flights")
