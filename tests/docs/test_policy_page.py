"""The page about the policy file is about the policy file that mlreg reads."""

import re
from pathlib import Path

import yaml

from mlreg.cli.app import load
from mlreg.controller.domain.specification import DEFAULT_GATES
from mlreg.controller.services.policies import parse_policy
from tests.docs import policy_keys

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"


def test_every_example_can_be_applied():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        parse_policy(example)


def test_the_table_is_of_every_key():
    table = PAGE.read_text().partition("a test compares -->\n")[2].splitlines()
    assert table == policy_keys.lines(), "python -m tests.docs.policy_keys"


def test_the_usual_gates_are_those_of_the_tasks():
    page = PAGE.read_text()
    for task, gates in DEFAULT_GATES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {task} | `"))
        assert [yaml.safe_load(one) for one in re.findall(r"`(\{.+?\})`", row)] == list(gates)


def test_the_commands_exist():
    named = set(re.findall(r"`(?:mlreg policy )?(\w+) MODEL", PAGE.read_text()))
    assert named <= set(load("policy").commands)
