"""Waiting for the end of what a worker does: looking again, soon at first, then less often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlreg.client.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 1.0
OUTAGE_SECONDS = 120.0


class Ending(Protocol):
    """Something that is open until it has ended."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        ...


E = TypeVar("E", bound=Ending)


def await_end(look: Callable[[], E], each: Callable[[E], None] = lambda _seen: None) -> E:
    """Look until what is seen has ended, and return it; `each` is told of every look.

    An outage of the server is waited out once it has answered: what is waited for goes on.

    Raises:
        UnreachableError: it has never answered, or not for two minutes.
    """
    pause, answered_at = FIRST_PAUSE_SECONDS, float("-inf")
    while True:
        try:
            seen = look()
        except UnreachableError:
            if time.monotonic() - answered_at > OUTAGE_SECONDS:
                raise
        else:
            answered_at = time.monotonic()
            each(seen)
            if not seen.is_open:
                return seen
        time.sleep(pause)
        pause = min(1.5 * pause, LAST_PAUSE_SECONDS)
