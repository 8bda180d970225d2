"""The pages of drift: commands run, the tables are there, the reference names every monitor."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.drift_alarms import BEGIN, END
from mlreg.controller.api import drift, monitors, policies
from mlreg.controller.domain.drift import SIZES
from mlreg.controller.monitors import labels
from mlreg.controller.services import comparing
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.automation_makers import DAY, POLICY, START, Automation

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, drift.router)


def test_commands_of_the_how_to(cli, database, store):  # noqa: F811 - the fixture
    automation = Automation(database, store, policy=POLICY)
    automation.log(START)
    automation.pass_to(START + DAY)
    page = (DOCS / "how-to" / "look-at-drift.md").read_text()
    blocks = re.findall(r"^```\n(mlreg.*?)```", page, re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 8
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "mlreg"
        if "--wait" in words:  # a worker would do it; that it is asked is enough
            words.remove("--wait")
        if words[-1] in {"--joint", "--exact"}:
            assert "is queued" in cli(*words[1:])
        else:
            assert "temp" in cli(*words[1:])


def test_the_python_of_the_how_to(api, database, store, monkeypatch, capsys):
    automation = Automation(database, store, policy=POLICY)
    automation.log(START)
    automation.pass_to(START + DAY)
    monkeypatch.setenv("MLREG_URL", api.url)
    monkeypatch.setenv("MLREG_TOKEN", api.token)
    page = (DOCS / "how-to" / "look-at-drift.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    exec(example, {})
    assert "temp" in capsys.readouterr().out


def test_the_trigger_of_the_how_to_is_a_policy(client, database, store):
    Automation(database, store, policy=None)
    page = (DOCS / "how-to" / "look-at-drift.md").read_text()
    (triggers,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert client.policies.apply(f"model: flights\n{triggers}").enabled


def test_the_explanation_has_its_tables():
    page = (DOCS / "explanation" / "drift.md").read_text()
    tables = page.partition(BEGIN)[2].partition(END)[0]
    assert tables.count("| day |") == tables.count("| hour |") == 14


def test_the_reference_names_every_monitor():
    page = (DOCS / "reference" / "monitors.md").read_text()
    names = {*SIZES, *labels.DETECTORS, labels.LOSS, comparing.MONITOR}
    names |= {"label_mean", "label_share", "null_share", "unseen_share", "default_share"}
    assert {name for name in names if f"`{name}`" not in page} == set()
