"""Rows that wait to be sent: bounded in number and in bytes, and every row accounted for.

What always holds: `added = sent + dropped + waiting` at any moment that the lock is free; a row
that finds no room is dropped and counted, and whoever added it does not wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

Row = Mapping[str, object]
_ROW_BYTES, _VALUE_BYTES = 64, 32


@dataclass(frozen=True, slots=True)
class BufferStats:
    """What became of the rows of a buffer.

    Attributes:
        added: all that were given to it.
        sent: those that the server has acknowledged as durable.
        dropped: those that are lost: no room, refused by the server, or unsent at the end.
        waiting: those that are still to be sent, or on their way.
        last_error: why the last attempt failed, None after one that did not.
    """

    added: int = 0
    sent: int = 0
    dropped: int = 0
    waiting: int = 0
    last_error: str | None = None


class RowBuffer:
    """A bounded queue of rows between the threads that log and the one that sends."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self.changed = threading.Condition()
        self.stats = BufferStats()
        self.closed = False
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._rows: deque[tuple[Row, int]] = deque()
        self._bytes = 0

    def add(self, row: Row, *, wake_at: int) -> bool:
        """Let a row wait; False if it was dropped. Wakes the sender at so many rows."""
        row = {name: dict(v) if isinstance(v, Mapping) else v for name, v in row.items()}
        size = size_of(row)
        with self.changed:
            full = self.stats.waiting >= self._max_rows or self._bytes + size > self._max_bytes
            if full or self.closed:
                self.count(added=1, dropped=1)
                return False
            self._rows.append((row, size))
            self._bytes += size
            self.count(added=1, waiting=1)
            if self.stats.waiting in {1, wake_at}:
                self.changed.notify_all()
            return True

    def take(self, most: int, most_bytes: int) -> list[Row]:
        """Return the rows that wait longest; they are `waiting` until `settle`d."""
        with self.changed:
            taken: list[Row] = []
            size = 0
            while self._rows and len(taken) < most and (not taken or size < most_bytes):
                row, row_size = self._rows.popleft()
                taken.append(row)
                size += row_size
            self._bytes -= size
            return taken

    def settle(self, *, sent: int = 0, dropped: int = 0, error: str | None = None) -> None:
        """Write down what became of rows that were taken."""
        with self.changed:
            self.count(sent=sent, dropped=dropped, waiting=-sent - dropped)
            self.stats = replace(self.stats, last_error=error)
            self.changed.notify_all()

    def drop_all(self) -> int:
        """Give up what still waits here or is on its way; return how many rows that is."""
        with self.changed:
            self._rows.clear()
            self._bytes = 0
            lost = self.stats.waiting
            self.count(dropped=lost, waiting=-lost)
            return lost

    def count(self, *, added: int = 0, sent: int = 0, dropped: int = 0, waiting: int = 0) -> None:
        """Change the counts; for who holds the lock, or is alone."""
        now = self.stats
        self.stats = replace(
            now,
            added=now.added + added,
            sent=now.sent + sent,
            dropped=now.dropped + dropped,
            waiting=now.waiting + waiting,
        )


def size_of(row: Row) -> int:
    """Return about how many bytes a row takes in memory."""
    size = _ROW_BYTES
    for value in row.values():
        if isinstance(value, Mapping):
            size += size_of(value)
        else:
            size += _VALUE_BYTES + (len(value) if isinstance(value, str | bytes) else 0)
    return size
