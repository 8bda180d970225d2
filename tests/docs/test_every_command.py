"""Whatever a page shows of the command line exists, and the page of commands has every one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlreg.cli.app import COMMANDS, load
from tests.docs import command_lines

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "adr"  # they tell of their day
PAGES = sorted({ROOT / "README.md", *DOCS.rglob("*.md")} - {*DECISIONS.iterdir()})
SHOWN = re.compile(
    r"^```[^\n`]*\n(?P<block>.*?)^```|`(?P<words>mlreg [^`]+)`", re.DOTALL | re.MULTILINE
)
CALL = re.compile(r"(?:^|[$|&(] *)mlreg (?P<rest>[a-z][^\n|&;)#]*)", re.MULTILINE)
OPTION = re.compile(r"(?<=[ \[|/])--[a-z][a-z-]*")


def calls(page):
    """Yield what stands behind `mlreg` wherever the page shows a command."""
    for shown in SHOWN.finditer(page.read_text()):
        text = (shown["block"] or shown["words"]).replace("\\\n", " ")
        for call in CALL.finditer(text):
            yield re.sub(r"\s+", " ", call["rest"]) if shown["words"] else call["rest"]


def options_of(command):
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def problem_of(call):
    """Return what is not there of a call, or None."""
    first, *words = call.split()
    if first not in COMMANDS:
        return f"no command {first}"
    command = load(first)
    below = getattr(command, "commands", None)
    found = command
    if below is not None:
        name = next((word for word in words if not word.startswith("-")), None)
        if name is None or not re.fullmatch(r"[a-z][a-z-]*", name):
            return None
        if name not in below:
            return f"no command {first} {name}"
        found = below[name]
    unknown = set(OPTION.findall(call)) - options_of(found) - {"--help"}
    return f"no option {', '.join(sorted(unknown))} of {call}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(page):
    assert [problem for call in calls(page) if (problem := problem_of(call))] == []


def test_the_page_of_commands_has_every_one():
    """`python -m tests.docs.command_lines` writes it anew."""
    _, mark, table = command_lines.PAGE.read_text().partition(command_lines.MARK)
    assert mark
    assert table.strip().splitlines() == command_lines.lines()


def test_there_are_commands_on_the_pages():
    found = [call for page in PAGES for call in calls(page)]
    assert len(found) > 200
    assert problem_of("promote flights 3 --raeson x")
    assert problem_of("run lits")
    assert problem_of("nosuch")
