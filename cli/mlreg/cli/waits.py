"""What a run waits for that somebody waits for: said on stderr, once per change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlreg.cli.output import warn
from mlreg.client.errors import MlregError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlreg.client.wire.costs import QueuedRunAnswer
    from mlreg.client.wire.runs import RunAnswer

PAUSE_SECONDS = 2.0


class Waits:
    """Says why a run does not begin; nothing of one that is taken within two seconds.

    Args:
        queue: returns the runs that wait, each with what it waits for.
        pause_seconds: between two looks at the queue, and before the first.
    """

    def __init__(
        self,
        queue: Callable[[], Sequence[QueuedRunAnswer]],
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._queue = queue
        self._pause = pause_seconds
        self._not_before = time.monotonic() + pause_seconds
        self._said: str | None = None

    def look(self, run: RunAnswer) -> None:
        """Say what a run waits for, if that is news."""
        if run.state != "queued" or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + self._pause
        why = run.waits_for or self._because(run.number)
        if why is not None and why != self._said:
            warn(f"run {run.number} is queued: {why}")
            self._said = why

    def _because(self, number: int) -> str | None:
        try:
            return next((one.because for one in self._queue() if one.run == number), None)
        except MlregError:  # what is only told must not end the wait for the run
            return None
