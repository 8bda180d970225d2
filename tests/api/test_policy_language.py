"""Policies over HTTP and the command line: previews, versions, the schema, a way to begin."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy import text
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.controller.api import policies
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.store.tables import Policy
from mlreg.registry.store import tables
from tests.automation_makers import DAY, POLICY, START, Automation
from tests.faults.workers import await_true
from tests.makers import PERSON

FOUR_LINES = """\
model: flights
triggers:
  - {schedule: "0 3 * * *"}
cooldown: 1h
"""


@pytest.fixture
def extra_routers():
    return (policies.router,)


def waits(database):
    with database.reading() as session:
        return session.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first()


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

    def run(*words, code=0, given=None):
        command = [sys.executable, "-m", "mlreg.cli", *map(str, words)]
        done = subprocess.run(
            command,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            input=given,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.mark.usefixtures("automation")
def test_four_lines_are_a_policy_with_the_gates_and_the_delay_of_its_model(client, database):
    applied = client.policies.apply(FOUR_LINES).policy
    assert applied["gates"] == [
        {"champion": "log_loss", "margin": 0.001},
        {"baseline": "prior", "metric": "log_loss", "margin": 0.0},
    ]
    assert applied["data"]["label_delay"] == "10d"
    with database.writing() as session:  # as an mlreg without default gates wrote it down
        (row,) = session.exec(select(Policy)).all()
        row.body = {**row.body, "gates": []}
        session.add(row)
    assert client.policies.get("flights").policy["gates"] == []
    assert client.policies.apply(FOUR_LINES + "gates: []\n").policy["gates"] == []


@pytest.mark.usefixtures("automation")
def test_versions_are_listed_compared_and_put_in_force_again(client, database):
    client.policies.apply(POLICY)
    second = client.policies.apply(POLICY.replace("cooldown: 1h", "cooldown: 2d"))
    (change,) = second.changes
    assert (change.key, change.kind, change.old, change.new) == ("cooldown", "changed", "1h", "2d")
    (warning,) = second.warnings
    assert warning.startswith("line 6: cooldown: 2d is longer than the time between two firings")
    reverted = client.policies.revert("flights", to=1)
    assert (reverted.number, reverted.source) == (3, POLICY)
    assert [(one.number, one.changes) for one in client.policies.history("flights").items] == [
        (3, 1),
        (2, 1),
        (1, None),
    ]
    page = client.policies.history("flights", limit=2)
    rest = client.policies.history("flights", before=page.next)
    assert [one.number for one in (*page.items, *rest.items)] == [3, 2, 1]
    assert client.policies.diff("flights", 1, 3).changes == []
    old = client.policies.get("flights", number=2)
    assert (old.policy["cooldown"], old.enabled, old.next_due) == ("2d", False, None)
    with pytest.raises(NotFoundError, match="no policy 4") as caught:
        client.policies.revert("flights", to=4)
    assert caught.value.code == "policy_version_not_found"
    with database.reading() as session:
        newest = select(tables.AuditEntry).order_by(tables.AuditEntry.seq)
        entries = [
            json.loads(one.body) for one in session.exec(newest) if one.action == "policy.apply"
        ]
    assert [one.get("reverts_to") for one in entries] == [None, None, 1]


def test_of_two_at_once_the_second_tells_what_it_changed_of_the_first(api, automation):
    def apply(text):
        with api.client() as client:
            return client.policies.apply(text)

    automation.apply(POLICY)
    with ThreadPoolExecutor() as pool:
        with automation.database.writing() as session:
            second = POLICY.replace("cooldown: 1h", "cooldown: 2h")
            apply_policy(session, second, git=None, actor=PERSON, now=automation.clock_now)
            third = pool.submit(apply, POLICY.replace("cooldown: 1h", "cooldown: 3h"))
            await_true(lambda: waits(automation.database) or third.done())
        (change,) = third.result().changes
    assert (change.key, change.old, change.new) == ("cooldown", "2h", "3h")


def test_a_preview_rehearses_and_changes_nothing(client, automation):
    automation.apply(POLICY)
    before = client.policies.get("flights")
    for number in range(3):
        automation.pass_to(START + number * DAY)
    text = POLICY.replace("schedule:", "labelled_rows: 900}\n  - {schedule:")
    found = client.policies.preview(text + "budget: {runs_per_day: 1}\n")
    assert {one.key: one.kind for one in found.changes} == {
        "triggers[0]": "added",
        "budget.runs_per_day": "added",
    }
    assert (found.in_force, found.number, found.next_lane) == (1, 2, "full")
    window, own = found.due
    assert (window.trigger, window.own) == ("labelled_rows", False)
    assert (own.trigger, own.own, own.at[0].hour) == ("schedule", True, 3)
    assert found.rehearsal.runs >= 29
    assert found.rehearsal.train_seconds is None
    assert client.policies.get("flights").number == before.number
    with pytest.raises(InvalidError, match=r"line 3: data\.train_window"):
        client.policies.preview(POLICY.replace("20d", "2d"))


@pytest.mark.usefixtures("automation")
def test_the_command_line(cli, tmp_path):
    starter = cli("policy", "init", "flights")
    assert "# yaml-language-server: $schema=" in starter
    (tmp_path / "policy.yaml").write_text(starter)
    dry = cli("policy", "apply", "-f", "policy.yaml", "--dry-run")
    assert "flights in production has no policy; this would be policy 1" in dry
    assert "the next run would take the lane full" in dry
    unread = "{model: flights, triggers: [{labelled_rows: 5}, {drift: psi, above: 0.2}]}"
    said = cli("policy", "apply", "-f", "-", "--dry-run", given=unread)
    assert "looks, what would have fired is not known\n  labelled_rows: nothing was read of" in said
    cli("policy", "apply", "-f", "policy.yaml")
    cli("policy", "disable", "flights")
    again = cli("policy", "apply", "-f", "-", given=starter + "cooldown: 9h\n")
    assert "disabled: `mlreg policy enable flights` lets it act" in again
    assert "~ cooldown: 6h -> 9h" in again
    assert cli("policy", "diff", "flights", 1, 2) == "  ~ cooldown: 6h -> 9h\n"
    assert "~ cooldown: 9h -> 6h" in cli("policy", "revert", "flights", "--to", 1)
    history = json.loads(cli("--json", "policy", "history", "flights"))
    assert [one["number"] for one in history["items"]] == [3, 2, 1]
    assert cli("policy", "show", "flights", "--number", 2, "--source").endswith("cooldown: 9h\n")
    error = cli("policy", "apply", "-f", "-", given=starter + "cooldown: -1h\n", code=2)
    assert "cooldown: a duration is" in error
    schema = json.loads(cli("policy", "schema"))
    Draft202012Validator(schema).validate(yaml.safe_load(starter))
