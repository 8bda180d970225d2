"""Every command of the page on explaining a bad window, with a worker beside."""

from __future__ import annotations

import shlex
import threading

import pytest

from mlreg.controller.api import clock, explanations, monitors, policies
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.api.test_explanations import EXPLAIN, automation, log_day  # noqa: F401 - a fixture
from tests.automation_makers import DAY, START
from tests.docs.test_readme import ROOT, blocks

PAGE = (ROOT / "docs" / "how-to" / "explain-a-bad-window.md").read_text()


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, explanations.router, clock.router)


@pytest.fixture
def _worker(automation):  # noqa: F811 - the fixture
    stop = threading.Event()

    def work():
        while not stop.wait(0.1):
            automation.work(EXPLAIN)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("_worker")
def test_every_command_of_the_page(automation, cli, client, capsys):  # noqa: F811 - the fixtures
    for number in range(2):
        log_day(automation, START + number * DAY)
    lines = [line for block in blocks(PAGE, "bash") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        said = cli(*shlex.split(line)[1:])
        assert "flights in production" in said, line
        assert ("wrong: it loses" in said) == ("--by score" not in line), line
    assert "temp=" in cli(
        "monitor", "explanation", client.explanations.list("flights").items[1].number
    )
    (example,) = blocks(PAGE, "python")
    exec(example, {"client": client})
    assert "wrong" in capsys.readouterr().out
