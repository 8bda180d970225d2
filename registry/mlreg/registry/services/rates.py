"""How many requests one token, or one address without a token, may send: a bucket for each.

What always holds: a bucket is one number in this process's memory, the moment at which it will be
full again (the generic cell rate algorithm, ITU-T I.371), so that taking from it costs a look into
a table; what never waits is said in `NEVER_LIMITED`; buckets that are full are not remembered, and
the rest are bounded. Time is an argument.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 10_000
_LOG, _LOOK_UP = 6, 7
LOGGED = frozenset({"predictions", "labels"})
NEVER_LIMITED = frozenset({"rollback", "fallback", "freeze", "acknowledgements"})
"""What on-call does to a deployment at night, and what says that it has arrived."""


class TooManyRequestsError(UnavailableError):
    """One token, or one address, sends more than it may; nothing was done."""

    code = "too_many_requests"
    hint = "Wait as long as Retry-After says; mlreg's own client does."
    status = 429

    def __init__(self, *, wait_seconds: float) -> None:
        self.retry_after_seconds = max(1, int(wait_seconds + 0.999))
        super().__init__(f"too many requests; try again in {self.retry_after_seconds} s")


@dataclass(frozen=True, slots=True)
class Rate:
    """What one sender may send.

    Attributes:
        per_second: requests on average; 0 is without a limit.
        burst: requests at once.
    """

    per_second: float = 1_000.0
    burst: int = 5_000


class Buckets:
    """Who sent how much of late, as far as this process knows; for one thread."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._step = 1 / rate.per_second if rate.per_second else 0.0
        self._depth = self._step * max(rate.burst, 1)
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def take(self, sender: str) -> None:
        """Take one request out of a sender's bucket.

        Raises:
            TooManyRequestsError: there is none in it.
        """
        if not self._step:
            return
        now = self._monotonic()
        full_at = max(self._full_at.get(sender, now), now) + self._step
        if full_at - now > self._depth:
            raise TooManyRequestsError(wait_seconds=full_at - now - self._depth)
        self._full_at[sender] = full_at
        if len(self._full_at) > CAPACITY:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget full buckets; if nearly none is, the half of them that are the fullest."""
        owing = sorted((item for item in self._full_at.items() if item[1] > now), key=_full_at)
        self._full_at = dict(owing[-CAPACITY // 2 :])


def never_waits(method: str, path: str) -> bool:
    """Say whether a request is never made to wait.

    Beside `NEVER_LIMITED`, that is the look-up of what is live: it is answered from memory, and to
    refuse it would cost as much as to answer. And the feedback log: a serving process logs all that
    it answers, and how much of it waits is bounded there.
    """
    parts = path.split("/", 8)  # "", api, v1, models, MODEL, deployments, ENVIRONMENT, verb
    if len(parts) == _LOG and parts[5] in LOGGED:
        return method == "POST"
    if len(parts) < _LOOK_UP or parts[5] != "deployments":
        return False
    if method == "GET":
        return len(parts) == _LOOK_UP
    return len(parts) == _LOOK_UP + 1 and parts[7] in NEVER_LIMITED


def _full_at(item: tuple[str, float]) -> float:
    return item[1]
