"""What a command prints: one JSON document with `--json`, else plain tables and lines.

What always holds: with `--json`, stdout carries the document and nothing else; warnings and
progress go to stderr. A list is `{"items": [...], "next": CURSOR}`, whatever it lists; `next` is
null at its end. Tables are made without rich, whose import costs more than the call (`tables.py`).
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from mlreg.cli.tables import WIDTH, Table, cell, table_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass
class Output:
    """How this process prints; set once, while the options are read."""

    json: bool = False
    progress: bool = False


OUTPUT = Output()


def show(
    value: object, *, table: Table | None = None, text: str | None = None, more: str = ""
) -> None:
    """Print a value: as JSON when asked, else its table, its text, or its fields line by line.

    Args:
        value: a pydantic model, dataclass, mapping, sequence or scalar; what `--json` prints.
        table: how a person reads it.
        text: as `table`, for what is one line or a few.
        more: the option that takes the cursor of the next page.
    """
    if OUTPUT.json:
        document = plain(value)
        if isinstance(document, list):
            document = {"items": document, "next": None}
        print(json.dumps(document, indent=2, ensure_ascii=False, default=str))
        return
    if text is not None:
        print(text)
    if table is not None:
        print_table(table)
    if text is None and table is None:
        print_fields(plain(value))
    cursor = getattr(value, "next", None)
    if more and cursor is not None:
        say(f"more: {more} {cursor}")


def say(message: str) -> None:
    """Print a line for a person: on stdout, or on stderr when stdout carries JSON."""
    print(message, file=sys.stderr if OUTPUT.json else sys.stdout)


def warn(message: str) -> None:
    """Print a line on stderr; at a terminal in place of a bar that may stand there."""
    before = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{before}{message}", file=sys.stderr)


def print_table(table: Table) -> None:
    """Print aligned columns; at a terminal they fit into it."""
    width = get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else None
    for line in table_lines(table, None if width is None else max(width, WIDTH)):
        print(line)


def print_fields(value: object) -> None:
    """Print a mapping as `name  value` lines; anything else as it is."""
    if not isinstance(value, dict):
        print(value)
        return
    for line in field_lines(value):
        print(line)


def field_lines(value: Mapping[str, object]) -> Iterator[str]:
    """Yield a mapping as `name  value` lines, the values below each other."""
    width = max((len(str(key)) for key in value), default=0)
    for key, item in value.items():
        shown = json.dumps(item, ensure_ascii=False) if isinstance(item, dict | list) else item
        yield f"{str(key).ljust(width)}  {cell(shown)}"


def plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower name
    """Return a value as plain JSON types."""
    dump: Callable[..., Any] | None = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show how far something is on stderr, when that is a terminal or `--progress` was given."""
    if OUTPUT.json or not (OUTPUT.progress or sys.stderr.isatty()):
        yield lambda _amount: None
        return
    from mlreg.cli.progress import Bar

    bar = Bar(description, total)
    bar.advance(0)
    try:
        yield bar.advance
    finally:
        bar.end()


def fields(value: Mapping[str, object], *names: str) -> list[object]:
    """Return the named items of a mapping, None for what is not there."""
    return [value.get(name) for name in names]
