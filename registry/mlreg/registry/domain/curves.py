"""Loss curves and search tables as people keep them: CSV, read with limits, thinned to be shown.

A loss curve's first column is the step, each further column one series; an empty cell, a NaN or an
infinity is a gap. A search table is one row per trial under a header.

What always holds: whatever the bytes are, the answer is a value or `UnreadableTableError`; texts
have no secrets of a known form and at most `MAX_CELL` letters.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.client.redaction import redact_text
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 4 * 2**20
MAX_SERIES = 24
MAX_COLUMNS = 40
MAX_ROWS = 100_000
MAX_CELL = 80
SHOWN_POINTS = 240
SHOWN_ROWS = 200

Point = tuple[float, float]


class UnreadableTableError(InvalidError):
    """A file that should be a table is none that can be shown."""

    code = "unreadable_table"

    def __init__(self, *, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Curve:
    """One series over steps, without its gaps, steps ascending.

    Attributes:
        points: at most `SHOWN_POINTS` of (step, value): the least and the greatest of each stretch.
        count: the points that there were.
        last, least, greatest: of all of them.
    """

    name: str
    points: tuple[Point, ...]
    count: int
    last: float
    least: float
    greatest: float


@dataclass(frozen=True, slots=True)
class SearchTable:
    """The first `SHOWN_ROWS` trials of a search, and how many there were."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    count: int


def read_curves(content: bytes) -> tuple[Curve, ...]:
    """Read a loss curve.

    Raises:
        UnreadableTableError: no CSV, no numbers, or more than can be shown.
    """
    header, rows = _read(content, MAX_SERIES + 1)
    series: list[list[Point]] = [[] for _ in header[1:]]
    for row in rows:
        step = _number(row[0])
        if step is None:
            continue
        for points, cell in zip(series, row[1:], strict=False):
            value = _number(cell)
            if value is not None:
                points.append((step, value))
    curves = tuple(
        _curve(name, sorted(points))
        for name, points in zip(header[1:], series, strict=True)
        if points
    )
    if not curves:
        raise UnreadableTableError(problem="it has no column of numbers after the step")
    return curves


def read_search_table(content: bytes) -> SearchTable:
    """Read a search table.

    Raises:
        UnreadableTableError: no CSV, or more than can be shown.
    """
    header, rows = _read(content, MAX_COLUMNS)
    width, shown = len(header), rows[:SHOWN_ROWS]
    cells = tuple(tuple(_shown(cell) for cell in (*row, *[""] * width)[:width]) for row in shown)
    return SearchTable(header, cells, len(rows))


def _read(content: bytes, max_columns: int) -> tuple[tuple[str, ...], list[list[str]]]:
    if len(content) > MAX_BYTES:
        raise UnreadableTableError(problem=f"it is larger than {MAX_BYTES} bytes")
    try:
        rows = [row for row in csv.reader(_lines(content), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTableError(problem="it is no CSV in UTF-8") from error
    if len(rows) < 2:  # noqa: PLR2004 - a header and a row
        raise UnreadableTableError(problem="it has no rows under a header")
    header = tuple(_shown(cell) for cell in rows[0])
    if not 1 <= len(header) <= max_columns or len(rows) > MAX_ROWS:
        problem = f"it has more than {max_columns} columns or {MAX_ROWS} rows"
        raise UnreadableTableError(problem=problem)
    return header, rows[1:]


def _lines(content: bytes) -> io.StringIO:
    return io.StringIO(content.decode("utf-8-sig"), newline="")


def _shown(cell: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in redact_text(cell.strip()))
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _curve(name: str, points: Sequence[Point]) -> Curve:
    values = [value for _, value in points]
    return Curve(
        name=name or "value",
        points=tuple(_thinned(points)),
        count=len(points),
        last=values[-1],
        least=min(values),
        greatest=max(values),
    )


def _thinned(points: Sequence[Point]) -> Iterator[Point]:
    """Yield the points, or of each stretch the least and the greatest, so that no spike is lost."""
    if len(points) <= SHOWN_POINTS:
        yield from points
        return
    stretches = SHOWN_POINTS // 2 - 1
    for number in range(stretches):
        first, end = (len(points) * edge // stretches for edge in (number, number + 1))
        stretch = sorted(points[first:end], key=lambda point: point[1])
        yield from sorted({stretch[0], stretch[-1]})
    yield points[-1]
