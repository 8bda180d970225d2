"""Business time that goes faster than the database's, alike in every process."""

from __future__ import annotations

from datetime import datetime

from mlreg.registry.store.clock import DatabaseClock, VirtualClock


class FastClock:
    """At the moment `zero` of the database it is `start`; from then on it goes `speed` times."""

    def __init__(self, database, zero, start, speed):
        self._real = DatabaseClock(database)
        self.zero, self.start, self.speed = zero, start, speed

    def now(self):
        return self.start + (self._real.now() - self.zero) * self.speed

    @property
    def spelt(self):
        return f"{self.zero.isoformat()},{self.start.isoformat()},{self.speed}"


def clock_of(database, spelt):
    if spelt == "real":
        return DatabaseClock(database)
    if spelt == "virtual":
        return VirtualClock(database)
    zero, start, speed = spelt.split(",")
    return FastClock(
        database, datetime.fromisoformat(zero), datetime.fromisoformat(start), float(speed)
    )
