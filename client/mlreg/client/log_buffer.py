"""Logging from a serving process: rows are handed over, and a thread of this buffer sends them.

What always holds: `add` neither blocks nor raises, whatever the server does and whatever it is
given; memory is bounded, in rows and in bytes; every row that is lost is counted, and said through
`logging` once in a while; a batch is sent again under the same id until the server takes or refuses
it, so it is kept once; the end of the process waits a bounded time for what is still to be sent; a
fork leaves the waiting rows to its parent and begins with an empty buffer.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.client.edge import Edge
from mlreg.client.errors import InvalidError, MlregError, RefusedError
from mlreg.client.row_buffer import BufferStats, RowBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from mlreg.client.row_buffer import Row

    Send = Callable[[Sequence[Row], str, float], None]
    """Sends rows under a batch id, and gives up after so many seconds."""

LOG = logging.getLogger("mlreg.log_buffer")
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
HURRIED_PAUSE_SECONDS = 0.2
JOIN_SECONDS = 1.0
SEND_SECONDS = 10.0
WARN_EVERY_SECONDS = 60.0
BATCH_BYTES = 512 * 2**10


@dataclass(frozen=True, slots=True)
class BufferBounds:
    """How much a buffer holds, and when it sends.

    Attributes:
        max_rows: more than these are dropped, counting those on their way.
        max_bytes: about how much memory the waiting rows may take.
        batch_rows: so many are sent at once, without waiting any longer.
        interval_seconds: a row waits no longer than this to be sent, while the server answers.
        close_seconds: how long the end of the process waits.
    """

    max_rows: int = 100_000
    max_bytes: int = 64 * 2**20
    batch_rows: int = 1_000
    interval_seconds: float = 1.0
    close_seconds: float = 5.0


class LogBuffer:
    """Takes rows of one model and one kind from any thread.

    ```python
    with client.log.buffered("flights") as buffer:
        buffer.add({"prediction_id": "a1", "time": now, "version": 3, "score": 0.4, **features})
    ```
    """

    def __init__(
        self, name: str, send: Send, bounds: BufferBounds, hang_up: Callable[[], None]
    ) -> None:
        """Prepare; `hang_up` closes the connection of the thread that sent."""
        self._name = name
        self._send = send
        self._hang_up = hang_up
        self._bounds = bounds
        self._begin()
        _BUFFERS.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        """Begin with nothing: at first, and in the child of a fork."""
        self._buffer = RowBuffer(self._bounds.max_rows, self._bounds.max_bytes)
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._hurry = threading.Event()
        self._session = secrets.token_hex(8)
        self._batches = 0
        self._warned_at = float("-inf")
        self._warned_of = 0

    def add(self, row: Row) -> bool:
        """Hand over a row; False if it was dropped. Never blocks, never raises."""
        with Edge(self._refuse):
            taken = self._buffer.add(row, wake_at=self._bounds.batch_rows)
            if taken and self._thread is None:
                self._start()
            if not taken:
                self._warn("the buffer is full" if not self._buffer.closed else "it is closed")
            return taken
        return False

    @property
    def stats(self) -> BufferStats:
        """What became of the rows until now."""
        return self._buffer.stats

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until nothing waits any more; False if something does after that time."""
        buffer = self._buffer
        self._hurry.set()
        with buffer.changed:
            buffer.changed.notify_all()
            done = buffer.changed.wait_for(lambda: not buffer.stats.waiting, timeout_seconds)
        self._hurry.clear()
        return done

    def close(self, timeout_seconds: float | None = None) -> BufferStats:
        """Take no more rows, send what waits within a time, and drop and count the rest."""
        atexit.unregister(self.close)
        until = self._bounds.close_seconds if timeout_seconds is None else timeout_seconds
        with self._buffer.changed:
            self._buffer.closed = True
            self._buffer.changed.notify_all()
        if self._thread is not None:
            self.flush(until)
        self._stopped.set()
        if self._buffer.drop_all():
            self._warn("the process ends", urgent=True)
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)  # what is lost has been counted
        return self.stats

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send what waits, for a bounded time."""
        self.close()

    def _refuse(self, error: Exception) -> None:
        """Count what was given as lost, for it is no row."""
        with self._buffer.changed:
            self._buffer.count(added=1, dropped=1)
        self._warn(f"not a row: {type(error).__name__}")

    def _start(self) -> None:
        with self._buffer.changed:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"mlreg-log-{self._name}", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._wait_for_rows()
                rows = self._buffer.take(self._bounds.batch_rows, BATCH_BYTES)
                if rows:
                    self._batches += 1
                    self._deliver(rows, f"{self._session}-{self._batches}")
        finally:
            self._hang_up()

    def _wait_for_rows(self) -> None:
        """Wait for a full batch, or for the interval after the first row."""
        buffer, batch = self._buffer, self._bounds.batch_rows
        with buffer.changed:
            buffer.changed.wait_for(lambda: buffer.stats.waiting or self._stopped.is_set(), 1.0)
            buffer.changed.wait_for(
                lambda: buffer.stats.waiting >= batch or buffer.closed or self._hurry.is_set(),
                self._bounds.interval_seconds,
            )

    def _deliver(self, rows: Sequence[Row], batch_id: str) -> None:
        """Send a batch until the server has said yes or no to it, or this process ends."""
        with Edge(lambda error: self._give_up(len(rows), error)):
            self._send_on(rows, batch_id)

    def _send_on(self, rows: Sequence[Row], batch_id: str) -> None:
        pause = PAUSE_SECONDS
        while not self._stopped.is_set():
            try:
                self._send(rows, batch_id, SEND_SECONDS)
            except InvalidError as error:
                self._split(rows, batch_id, error)
                return
            except MlregError as error:
                if isinstance(error, RefusedError):
                    self._give_up(len(rows), error)
                    return
                self._buffer.settle(error=str(error))
                if self._hurry.wait(pause):
                    self._stopped.wait(HURRIED_PAUSE_SECONDS)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._buffer.settle(sent=len(rows))
                return

    def _split(self, rows: Sequence[Row], batch_id: str, error: InvalidError) -> None:
        """Send each half alone, so that a row which breaks a rule takes no other with it."""
        if len(rows) == 1:
            self._give_up(1, error)
            return
        middle = len(rows) // 2
        for half, part in (("a", rows[:middle]), ("b", rows[middle:])):
            self._deliver(part, f"{batch_id}{half}")

    def _give_up(self, rows: int, error: Exception) -> None:
        self._buffer.settle(dropped=rows, error=str(error))
        self._warn(str(error))

    def _warn(self, cause: str, *, urgent: bool = False) -> None:
        """Say how many rows were lost, at most once a minute."""
        now, lost = time.monotonic(), self.stats.dropped
        if lost > self._warned_of and (urgent or now - self._warned_at >= WARN_EVERY_SECONDS):
            fresh, self._warned_of, self._warned_at = lost - self._warned_of, lost, now
            why = self.stats.last_error or cause
            LOG.warning(
                "%s: %d logged rows were lost (%d in all): %s", self._name, fresh, lost, why
            )


_BUFFERS: weakref.WeakSet[LogBuffer] = weakref.WeakSet()


def _begin_in_child() -> None:
    for buffer in list(_BUFFERS):
        buffer._begin()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
