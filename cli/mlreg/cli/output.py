"""What a command prints: one JSON document with `--json`, else plain tables and lines.

What always holds: with `--json`, stdout carries the document and nothing else; warnings and
progress go to stderr. Tables are made without rich, whose import costs more than the call; the last
cell of a row is folded at 80 columns, whether or not stdout is a terminal.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WIDTH = 80
LEAST_FOLD = 12


@dataclass
class Output:
    """How this process prints; set once, while the options are read."""

    json: bool = False
    progress: bool = False


OUTPUT = Output()


@dataclass(frozen=True)
class Table:
    """Rows under headers; a cell may be anything, None prints as a dash."""

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "nothing to show"


def show(value: object, *, table: Table | None = None, text: str | None = None) -> None:
    """Print a value: as JSON when asked, else its table, its text, or its fields line by line.

    Args:
        value: a pydantic model, dataclass, mapping, sequence or scalar; what `--json` prints.
        table: how a person reads it.
        text: as `table`, for what is one line or a few.
    """
    if OUTPUT.json:
        print(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))
        return
    if text is not None:
        print(text)
    if table is not None:
        print_table(table)
    if text is None and table is None:
        print_fields(plain(value))


def say(message: str) -> None:
    """Print a line for a person: on stdout, or on stderr when stdout carries JSON."""
    print(message, file=sys.stderr if OUTPUT.json else sys.stdout)


def warn(message: str) -> None:
    """Print a line on stderr."""
    print(message, file=sys.stderr)


def print_table(table: Table) -> None:
    """Print aligned columns; numbers to the right."""
    for line in table_lines(table):
        print(line)


def table_lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table: aligned columns, numbers to the right, 80 columns if it goes."""
    if not table.rows:
        yield table.empty
        return
    columns = [
        _padded(header.upper(), values)
        for header, values in zip(table.headers, zip(*table.rows, strict=True), strict=True)
    ]
    for *cells, last in zip(*columns, strict=True):
        yield from _folded("  ".join([*cells, ""]), last)


def _folded(before: str, last: str) -> Iterator[str]:
    """Yield a row, the words of its last cell folded below each other where it is too wide."""
    room = WIDTH - len(before)
    if len(last.rstrip()) <= room or room < LEAST_FOLD:
        yield (before + last).rstrip()
        return
    from textwrap import wrap

    lines = wrap(last, room, break_long_words=False, break_on_hyphens=False)
    yield before + lines[0]
    for line in lines[1:]:
        yield " " * len(before) + line


def print_fields(value: object) -> None:
    """Print a mapping as `name  value` lines; anything else as it is."""
    if not isinstance(value, dict):
        print(value)
        return
    width = max((len(str(key)) for key in value), default=0)
    for key, item in value.items():
        shown = json.dumps(item, ensure_ascii=False) if isinstance(item, dict | list) else item
        print(f"{str(key).ljust(width)}  {_cell(shown)}")


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


def _padded(header: str, values: Sequence[object]) -> list[str]:
    """Return a column as texts of one width, the header first."""
    texts = [header, *map(_cell, values)]
    width = max(map(len, texts))
    if all(isinstance(value, int | float) for value in values):
        return [text.rjust(width) for text in texts]
    return [text.ljust(width) for text in texts]


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)
