"""An assessor judges a share of a tick's policies beside the controller, in a process of its own.

Python runs on one core for each process. With a second one a tick over ten thousand policies takes
little more than half as long, where a second core is free.

What always holds: it starts when it is first wanted, and no tick waits for its start; it asks of
the same leadership as the controller before each commit; one that died, or said nothing for too
long, is killed, and what it was asked for is judged by the controller. Whatever was written by then
was written as if the controller had done so: no policy is judged twice at a moment.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mlreg.controller.services.chunk import Chunk
from mlreg.controller.services.leadership import LeadershipLostError
from mlreg.registry.domain.errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from mlreg.controller.services.leadership import Leadership

    Answer = Callable[[Callable[[], None]], Chunk | None]
    """Waits for the answer, and calls a function again and again meanwhile; None: there is none."""

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.5
REST_SECONDS = 600.0
"""One that died is not followed by another one before that."""
PIPE_BYTES = 1 << 20
"""A question has room in the pipe (100,000 ids have): who asks one that hangs does not hang too."""

log = logging.getLogger("mlreg.controller")


def has_a_core() -> bool:
    """Say whether there is a second core for it."""
    return len(os.sched_getaffinity(0)) > 1


class Assessor:
    """The controller's side of it; one thread asks.

    Args:
        command: what runs `assessing.assess` on its stdin and stdout.
        url: of the database.
        idle_seconds: how long a transaction of it, stopped in the middle, keeps its locks.
    """

    def __init__(self, command: Sequence[str], url: str, idle_seconds: float) -> None:
        self._command = tuple(command)
        self._where = {"url": url, "idle_seconds": idle_seconds}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_there = False
        self._rests_until = 0.0

    @property
    def pid(self) -> int | None:
        """Its process; None where there is none."""
        return None if self._process is None else self._process.pid

    def is_there(self) -> bool:
        """Say whether it can be asked; where it was never started, start it."""
        if self._process is None:
            if time.monotonic() >= self._rests_until:
                self._start()
            return False
        if not self._is_there and self._has_spoken(0):
            self._is_there = self._heard() is not None
        return self._is_there

    @contextmanager
    def asked(self, ids: Sequence[int], now: datetime, leadership: Leadership) -> Iterator[Answer]:
        """Ask it to judge policies; who leaves the block without the answer ends it.

        Args:
            ids: of due states.
            now: business time.
            leadership: under which it may write.
        """
        holder, epoch = leadership.holder, leadership.epoch
        self._say({"ids": ids, "now": now.isoformat(), "holder": holder, "epoch": epoch})
        try:
            yield lambda meanwhile: self._chunk(self._await(meanwhile), leadership)
        except BaseException:  # it must not go on, nor answer into the next tick
            self.close()
            raise

    def close(self) -> None:
        """End it: it is asked no more."""
        if self._process is None:
            return
        with suppress(BrokenPipeError), self._process as process:
            process.kill()
        self._process, self._is_there = None, False

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pipesize=PIPE_BYTES,
            )
        except OSError as error:
            log.warning("no assessor: %s", error)
            self._rests_until = time.monotonic() + REST_SECONDS
            return
        self._say(self._where)

    def _say(self, words: dict[str, Any]) -> None:
        """Send a line; that nobody reads it any more is seen by the answer that does not come."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def _has_spoken(self, seconds: float) -> bool:
        if self._process is None or self._process.stdout is None:
            return False
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _heard(self) -> dict[str, Any] | None:
        """Read a line; None: it has died, perhaps in the middle of one."""
        line = b""
        if self._process is not None and self._process.stdout is not None:
            line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            self._give_up("it died")
            return None
        words: dict[str, Any] = json.loads(line)
        return words

    def _await(self, meanwhile: Callable[[], None]) -> dict[str, Any] | None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._has_spoken(LOOK_SECONDS):
            meanwhile()
            if time.monotonic() > until:
                self._give_up(f"it said nothing for {PATIENCE_SECONDS:.0f} seconds")
                return None
        return self._heard()

    def _chunk(self, answer: dict[str, Any] | None, leadership: Leadership) -> Chunk | None:
        if answer is None:
            return None
        if "lost" in answer:
            raise LeadershipLostError(holder=leadership.holder, epoch=leadership.epoch)
        if "unreachable" in answer:
            raise DatabaseUnreachableError(cause="the assessor has lost its connection")
        return Chunk.from_json(answer)

    def _give_up(self, why: str) -> None:
        log.warning("the assessor is ended: %s", why)
        self.close()
        self._rests_until = time.monotonic() + REST_SECONDS
