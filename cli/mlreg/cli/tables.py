"""Tables as plain lines, and how a wide one comes to fit a terminal.

What always holds: a line has as many columns as the terminal, at least 80; 80 in a pipe or a file.
Where room lacks, the columns that a table can spare go first. Then, at a terminal, the widest texts
lose their middles; numbers, times and what is meant to be copied (`whole`) are never cut. In a pipe
or a file no cell is ever cut, so long names may make a line longer; the last cell is folded, under
its row where there is no room beside it. `--json` always has everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

WIDTH = 80
GAP = "  "
LEAST = 12  # what is left of a cut text
UNDER = " " * 4  # before what stands under its row, for beside it there is no room
LEAST_LAST = 24  # what the last column is given by dropping spare ones, where its text is longer
_NUMBERS = re.compile(r"[-+:., \d]*")


@dataclass(frozen=True)
class Table:
    """Rows under headers; a cell may be anything, None prints as a dash.

    Attributes:
        headers: a name per column.
        rows: a cell per column.
        empty: what is printed when there are no rows.
        spare: headers of the columns that go where room lacks, the least telling first.
        whole: headers of texts that are never cut, for they are there to be copied.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "nothing to show"
    spare: Sequence[str] = ()
    whole: Collection[str] = ()


@dataclass(frozen=True)
class _Column:
    header: str
    texts: Sequence[str]
    is_number: bool
    is_whole: bool

    @property
    def width(self) -> int:
        return max(len(self.header), *map(len, self.texts))

    def least(self, most: int) -> int:
        """Return the width that is left to it where each has at most `most`."""
        return self.width if self.is_whole else min(self.width, most)

    def lines(self, most: int) -> list[str]:
        """Return its cells, the header first, as texts of one width."""
        width = self.least(most)
        texts = [shortened(text, width) for text in (self.header.upper(), *self.texts)]
        return [text.rjust(width) if self.is_number else text.ljust(width) for text in texts]


def table_lines(table: Table, width: int | None = None) -> Iterator[str]:
    """Yield the lines of a table: aligned columns, numbers to the right.

    Args:
        table: what is printed.
        width: of the terminal; None: it is none, and every cell that is shown is whole.
    """
    if not table.rows:
        yield table.empty
        return
    columns = _spared(_columns(table), table.spare, width)
    most = _most(columns, width)
    last = columns[-1]
    before = zip(*(column.lines(most) for column in columns[:-1]), strict=True)
    starts = [GAP.join([*cells, ""]) for cells in before] or [""] * (len(table.rows) + 1)
    ends = last.lines(last.width)
    for start, end in zip(starts, ends, strict=True):
        yield from _folded(start, end, width)


def cell(value: object) -> str:
    """Return a value as it stands in a table."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)


def shortened(text: str, most: int) -> str:
    """Return a text without its middle where it is too long: names differ at both ends."""
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def _columns(table: Table) -> list[_Column]:
    found = []
    for header, values in zip(table.headers, zip(*table.rows, strict=True), strict=True):
        texts = [cell(value) for value in values]
        is_number = all(isinstance(value, int | float) for value in values)
        is_whole = header in table.whole or all(map(_NUMBERS.fullmatch, texts))
        found.append(_Column(header, texts, is_number, is_whole))
    return found


def _spared(columns: Sequence[_Column], spare: Sequence[str], width: int | None) -> list[_Column]:
    """Return the columns without those that can be spared, as long as room lacks."""
    kept, least = list(columns), _widest(columns) if width is None else LEAST
    for header in spare:
        widths = [*(one.least(least) for one in kept[:-1]), kept[-1].least(LEAST_LAST)]
        if _total(widths) <= (width or WIDTH):
            break
        kept = [one for one in kept if one.header != header]
    return kept


def _most(columns: Sequence[_Column], width: int | None) -> int:
    """Return how wide a text may be at most, so that all fit, and the last has its least."""
    most = _widest(columns)
    if width is None:
        return most
    while most > LEAST and _total([one.least(most) for one in columns]) > width:
        most -= 1
    return most


def _widest(columns: Sequence[_Column]) -> int:
    return max(one.width for one in columns)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _folded(before: str, last: str, width: int | None) -> Iterator[str]:
    """Yield a row, the words of its last cell folded below each other where it is too wide."""
    room = (width or WIDTH) - len(before)
    if len(last.rstrip()) <= max(room, LEAST if width is None else 0):
        yield (before + last).rstrip()
        return
    if width is None and room < LEAST:
        yield before.rstrip()
        yield from _wrapped(last, UNDER, WIDTH - len(UNDER))
        return
    if width is not None:
        last = " ".join(shortened(word, room) for word in last.split())
    first, *rest = _wrapped(last, " " * len(before), room)
    yield before + first.lstrip()
    yield from rest


def _wrapped(text: str, indent: str, room: int) -> list[str]:
    from textwrap import wrap

    lines = wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [indent + line for line in lines]
