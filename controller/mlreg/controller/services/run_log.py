"""The log of a run as its attempt writes it: lines of the child, and our own between them.

What always holds: lines are kept in order; a database that is away for a moment kills no child, for
lines wait in a bounded buffer; a lease that is lost does.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.store import runs as rows
from mlreg.registry.domain.errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.services.attempt import Attempt

MAX_WAITING_LINES = 10_000

log = logging.getLogger("mlreg.worker")


class RunLogWriter:
    """Writes the log of one run during one attempt."""

    def __init__(self, attempt: Attempt, run_id: int, number: int) -> None:
        self._attempt = attempt
        self._run_id = run_id
        self._number = number
        self._waiting: list[str] = []

    def say(self, line: str) -> None:
        """Add a line of our own."""
        self.add([plain_text(line)])

    def add(self, lines: Sequence[str]) -> None:
        """Add lines; they are in the database when this returns, or wait for the next call.

        Raises:
            LeaseLostError: the attempt is over.
        """
        self._waiting.extend(lines[: MAX_WAITING_LINES - len(self._waiting)])
        if not self._waiting:
            return
        try:
            now = self._attempt.clock.now()
            with self._attempt.effect() as session:
                rows.add_lines(session, self._run_id, self._number, self._waiting, now)
        except DatabaseUnreachableError as error:
            log.warning("run %d: %d lines wait: %s", self._run_id, len(self._waiting), error)
        else:
            self._waiting = []
