"""The live timeline: one line per event, and a bar of the year on a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from rich.progress import TaskID

    from mlreg.cli.demo.watch import Event, EventKind

STYLES: dict[EventKind, str] = {
    "fired": "cyan",
    "held": "dim",
    "cooling": "dim",
    "run": "default",
    "decision": "default",
    "promoted": "green",
    "rolled back": "bold red",
    "changed": "default",
    "incident": "yellow",
}
LONGEST_LINE = 150


class Timeline:
    """Prints events; says nothing at all where a document is asked for instead."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @contextmanager
    def year(self, days: int) -> Iterator[None]:
        """Show the bar of the year while the days go by; none where there is no terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True) as bar:
            self._bar, self._task = bar, bar.add_task("replaying", total=days)
            yield
        self._bar = self._task = None

    def day(self, day: date) -> None:
        """Note that a day begins."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, description=f"{day:%d %B}")

    def say(self, line: str) -> None:
        """Print a line that is no event."""
        self._console.print(line, style="bold")

    def tell(self, events: Iterable[Event]) -> None:
        """Print events; firings that only met the cooldown are counted in the report, not told."""
        for event in events:
            if event.kind == "cooling":
                continue
            line = Text(f"{event.at:%d %b %H:%M}  ")
            line.append(f"{event.kind:<12}", style=STYLES[event.kind])
            line.append(event.text)
            line.truncate(LONGEST_LINE, overflow="ellipsis")
            self._console.print(line)
