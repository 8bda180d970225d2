"""Slowing down who guesses: per address and per token id, in this process's memory, bounded.

What always holds: a checked token that this process remembers never comes here, so the look-up
path pays nothing; ten failures are free, each further one doubles the wait, up to a minute; a
quarter of an hour without one is forgiven; a good token is let in whatever was guessed at its id;
failures are counted for the audit log, not written one by one. Time is an argument.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING

from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.errors import UnauthenticatedError, UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.store.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.registry.store.database import Database

FREE_FAILURES = 10
MAX_WAIT_SECONDS = 60.0
FORGIVEN_AFTER_SECONDS = 900.0
MAX_AT_ONCE = 32
CAPACITY = 10_000
WRITE_DOWN_SECONDS = 60.0
MAX_NAMED = 20
IPV6_PREFIX = 64


class TooManyAttemptsError(UnavailableError):
    """Too many wrong tokens came from there; nothing was checked."""

    code = "too_many_attempts"
    hint = "Wait as long as Retry-After says; tokens that are in use go on working."
    status = 429

    def __init__(self, *, wait_seconds: float) -> None:
        self.retry_after_seconds = max(1, int(wait_seconds + 0.999))
        super().__init__(f"too many attempts; try again in {self.retry_after_seconds} s")


@dataclass(slots=True)
class _Record:
    """What is remembered of one source."""

    failures: int = 0
    pending: int = 0
    failed_at: float = 0.0

    def wait_seconds(self, now: float) -> float:
        if now - self.failed_at > FORGIVEN_AFTER_SECONDS:
            self.failures = 0
        if self.failures <= FREE_FAILURES:
            return 0.0
        doubled = 2.0 ** min(self.failures - FREE_FAILURES - 1, 16)
        return max(0.0, self.failed_at + min(doubled, MAX_WAIT_SECONDS) - now)


class Throttle:
    """Who failed how often, as far as this process knows."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._counted: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._written_at = monotonic()

    @contextmanager
    def attempt(self, address: str | None, token_id: str | None = None) -> Iterator[None]:
        """Try to come in from an address; an `UnauthenticatedError` inside is a failure.

        Raises:
            TooManyAttemptsError: before: the address must wait, or tries too much at once;
                instead of the failure: too much was guessed at that token.
        """
        source = source_of(address)
        record = self._begin(source)
        try:
            yield
        except UnauthenticatedError as error:
            self._count_reason(getattr(error, "reason", "no token of ours"))
            self._failed(source, token_id)
            raise
        finally:
            with self._lock:
                record.pending -= 1

    def write_down(self, database: Database, *, at_once: bool = False) -> None:
        """Write one audit entry for the failures of a minute, if there were any."""
        now = self._monotonic()
        with self._lock:
            if not self._counted or (now - self._written_at < WRITE_DOWN_SECONDS and not at_once):
                return
            counted, self._counted = self._counted, Counter()
            reasons, self._reasons = self._reasons, Counter()
        try:
            with database.writing() as session:
                audit.record(
                    session,
                    action="access.refused",
                    subject="access",
                    actor=SYSTEM,
                    body={
                        "failures": counted.total(),
                        "sources": len(counted),
                        "most": dict(counted.most_common(MAX_NAMED)),
                        "reasons": dict(reasons.most_common(MAX_NAMED)),
                        "seconds": int(now - self._written_at),
                    },
                    now=SystemClock().now(),
                )
        except BaseException:
            with self._lock:
                self._counted.update(counted)
                self._reasons.update(reasons)
            raise
        self._written_at = now

    def _begin(self, source: str) -> _Record:
        with self._lock:
            record = self._record(source)
            wait = record.wait_seconds(self._monotonic())
            if wait > 0 or record.pending >= MAX_AT_ONCE:
                raise TooManyAttemptsError(wait_seconds=wait)
            record.pending += 1
            return record

    def _count_reason(self, reason: str) -> None:
        with self._lock:
            if reason in self._reasons or len(self._reasons) < CAPACITY:
                self._reasons[reason] += 1

    def _failed(self, source: str, token_id: str | None) -> None:
        with self._lock:
            now = self._monotonic()
            if source in self._counted or len(self._counted) < CAPACITY:
                self._counted[source] += 1
            for key in filter(None, (source, token_id)):
                record = self._record(key)
                wait = record.wait_seconds(now)
                record.failures, record.failed_at = record.failures + 1, now
        if token_id is not None and wait > 0:
            raise TooManyAttemptsError(wait_seconds=wait)

    def _record(self, key: str) -> _Record:
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        while len(self._records) > CAPACITY:
            self._records.popitem(last=False)
        return record


def source_of(address: str | None) -> str:
    """Return what is counted as one source: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    found = getattr(found, "ipv4_mapped", None) or found
    if isinstance(found, IPv4Address):
        return str(found)
    return str(ip_network((found, IPV6_PREFIX), strict=False))
