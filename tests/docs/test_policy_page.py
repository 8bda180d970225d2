"""The page about the policy file is about the policy file that mlreg reads."""

import re

import yaml

from mlreg.cli.app import load
from mlreg.controller.domain.specification import DEFAULT_GATES
from mlreg.controller.services.policies import parse_policy
from tests.docs import policy_keys

PAGE = policy_keys.PAGE


def test_every_example_can_be_applied():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        parse_policy(example)


def test_the_table_is_of_every_key():
    page = policy_keys.PAGE.read_text()
    assert page == policy_keys.with_table(page), "python -m tests.docs.policy_keys"


def test_the_usual_gates_are_those_of_the_tasks():
    page = PAGE.read_text()
    for task, gates in DEFAULT_GATES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {task} | `"))
        assert [yaml.safe_load(one) for one in re.findall(r"`(\{.+?\})`", row)] == list(gates)


def test_the_commands_exist():
    named = set(re.findall(r"`(?:mlreg policy )?(\w+) MODEL", PAGE.read_text()))
    assert named <= set(load("policy").commands)


def test_the_commands_of_the_how_to_exist_with_their_options():
    page = (PAGE.parents[1] / "how-to" / "change-a-policy.md").read_text()
    blocks = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    lines = re.findall(r"^mlreg policy (.+?)(?: > .+)?$", blocks, re.MULTILINE)
    assert len(lines) > 7
    for line in lines:
        name, *words = line.split()
        options = {option for one in load("policy").commands[name].params for option in one.opts}
        assert {word for word in words if word.startswith("-")} <= options, line
