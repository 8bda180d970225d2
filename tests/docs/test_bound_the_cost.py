"""The page about budgets and costs: its commands, and the bounds that it names."""

import re
from pathlib import Path

import yaml

from mlreg.cli.app import load
from mlreg.controller.domain.budget import Budget

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "bound-the-cost.md").read_text()


def test_its_policy_and_bounds_are_those_there_are():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert not Budget(**yaml.safe_load(block)["budget"]).is_empty
    assert all(f"`{name}`" in PAGE for name in Budget.model_fields)


def test_each_of_its_commands_is_there_with_its_options():
    lines = re.findall(r"^mlreg (.+)$", PAGE, re.MULTILINE)
    assert len(lines) > 7
    for line in lines:
        words = line.split()
        command = load(words[0])
        leaf = command.commands[words[1]] if hasattr(command, "commands") else command
        known = {option for one in leaf.params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
