"""The thread that keeps a worker's leases alive, and halts the attempts that lost theirs.

What always holds: an attempt is halted once its lease is known to be lost, never because the
database was silent for a while, or took no writes: the check at its effect decides.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from mlreg.controller.services import leases
from mlreg.registry.services.turns import turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mlreg.controller.services.leases import Lease
    from mlreg.registry.store.database import Database

BEATS_PER_LEASE = 3

log = logging.getLogger("mlreg.worker")


class Heartbeats:
    """Renews every held lease three times in its life, in a thread of its own."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._interval = lease_seconds / BEATS_PER_LEASE
        self._held: dict[str, tuple[Lease, threading.Event]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[threading.Event]:
        """Keep a lease alive during the block; yields the event that says to halt."""
        halt = threading.Event()
        with self._lock:
            self._held[lease.token] = (lease, halt)
        try:
            yield halt
        finally:
            with self._lock:
                del self._held[lease.token]

    def halt_all(self) -> None:
        """Tell every attempt to stop."""
        with self._lock:
            for _, halt in self._held.values():
                halt.set()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            with self._lock:
                held = list(self._held.values())
            for lease, halt in held:
                if not halt.is_set():
                    self._beat(lease, halt)

    def _beat(self, lease: Lease, halt: threading.Event) -> None:
        with turn(log, f"no heartbeat for job {lease.job_id}"):
            try:
                leases.heartbeat(self._database, lease)
            except leases.LeaseLostError:
                halt.set()  # who abandons it says so; perhaps it just ended, and nothing is lost
