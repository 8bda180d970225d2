"""The pages about lanes, selections and searches are about what mlreg reads and takes."""

import re
import shlex
from pathlib import Path

import pytest

from mlreg.cli.app import load
from mlreg.controller.domain.lanes import ContinueRule, FullRule
from mlreg.controller.domain.remembering import MemoryRule
from mlreg.controller.domain.search_rule import SearchRule
from mlreg.controller.domain.selections.kinds import KINDS, SELECTIONS
from mlreg.controller.domain.yaml_file import InvalidFileError, read_yaml
from mlreg.controller.services.policy_texts import parse_policy

DOCS = Path(__file__).parents[2] / "docs"
LANES = DOCS / "explanation" / "lanes-and-selection.md"
SEARCH = DOCS / "how-to" / "search-hyperparameters.md"


def test_every_selection_on_the_page_can_be_made():
    """And the other way round: every key of every selection is on the page."""
    page = LANES.read_text()
    table = page[page.index("| `data.select`") : page.index("Evening out")]
    forms = re.findall(r"`(\{[^`]*\})`", table)
    made = {type(SELECTIONS.validate_python(_yaml(form))) for form in forms}
    assert made == set(KINDS)
    for part in (*KINDS, ContinueRule, FullRule, MemoryRule):
        for name in part.model_fields:
            assert f"`{name}`" in page or f"{name}:" in page or name == "metric", name


def _yaml(form):
    return read_yaml(f"select: {form}", InvalidFileError).document["select"]


def test_the_policy_of_the_search_can_be_applied():
    page = SEARCH.read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_policy(example).retrain.search.trials == 30
    for name in SearchRule.model_fields:
        assert f"`{name}`" in page


@pytest.mark.parametrize("page", [LANES, SEARCH])
def test_every_command_is_one(page):
    commands = re.findall(r"`(mlreg [^`]*)`", page.read_text())
    assert commands
    for command in commands:
        name, *words = shlex.split(command)[1:]
        found = load(name)
        if hasattr(found, "commands"):
            found = found.commands[words.pop(0)]
        if words:
            found.make_context("mlreg", words)
