"""The how-to on backtests: its grid is one, and its commands are there."""

import re
from pathlib import Path

from typer.testing import CliRunner

from mlreg.cli.commands.policy import app
from mlreg.controller.domain.backtest_grid import candidates, read_grid
from mlreg.controller.services.policy_texts import parse_policy

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "backtest-a-policy.md"
BASE = {"model": "flights", "triggers": [{"every": "7d"}]}


def test_the_grid_of_the_page_is_one():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    grid = read_grid(text)
    assert len(candidates(BASE, grid, parse_policy)) == 2 + 4 * 2 * 4


def test_every_option_of_the_page_is_there():
    said = CliRunner().invoke(app, ["backtest", "--help"], env={"COLUMNS": "200"}).output
    commands = re.findall(r"^mlreg .*policy backtest.*$", PAGE.read_text(), re.MULTILINE)
    options = {word for line in commands for word in re.findall(r"(?<= )-{1,2}[a-z]+", line)}
    assert options - {"--json"} == {
        "--wait", "-f", "--from", "--to", "--seconds", "--png", "--show", "--cancel",
    }  # fmt: skip
    assert all(option in said for option in options - {"--json"})
