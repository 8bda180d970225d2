"""Every command with its arguments and its first sentence, as rows of a page: made of the commands.

`python -m tests.docs.command_lines` writes them into docs/reference/commands.md.
"""

from __future__ import annotations

from pathlib import Path

from mlreg.cli.app import COMMANDS, load

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
MARK = "a test compares -->\n"
HEAD = ("| command | what it does |", "|---|---|")


def lines():
    """Return the lines of the table, in the order of `mlreg --help`."""
    return [*HEAD, *(row for name in COMMANDS for row in _rows(name))]


def _rows(name):
    command = load(name)
    below = getattr(command, "commands", None)
    if below is None:
        yield _row(name, command)
        return
    for word, one in below.items():
        if not one.hidden:
            yield _row(f"{name} {word}", one)


def _row(words, command):
    arguments = [_spelt(one) for one in command.params if one.param_type_name == "argument"]
    call = " ".join([f"mlreg {words}", *arguments])
    return "| `{}` | {} |".format(*(one.replace("|", "\\|") for one in (call, command.short_help)))


def _spelt(argument):
    name = (argument.metavar or argument.name.upper()) + ("…" if argument.nargs == -1 else "")
    return name if argument.required or name.startswith("[") else f"[{name}]"


def write():
    """Write the table behind the mark of the page."""
    head = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + "\n".join(lines()) + "\n")


if __name__ == "__main__":
    write()
