"""The scrub: every blob is hashed anew within some days, a little at a time, the oldest look first.

What always holds: no session is open while bytes are read; a scrub that is stopped has written
down what it saw; it reads no faster than it may.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.actor import SYSTEM, Actor
from mlreg.registry.domain.upkeep import UpkeepSettings
from mlreg.registry.services import integrity
from mlreg.registry.services.catalog import get_model
from mlreg.registry.services.integrity import Look
from mlreg.registry.store import at_rest
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.registry.store.at_rest import RestingBlob

PAGE = 50
DEFAULTS = UpkeepSettings()


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of a machine a scrub may take.

    Attributes:
        max_age: within which every blob is looked at; a look is due at half of it.
        seconds: after which a turn begins no further blob; one it always takes.
        bytes_per_second: how fast it reads on average; None is as fast as it can.
        halt: set when it should stop at the next blob.
    """

    max_age: timedelta = DEFAULTS.scrub_within
    seconds: float = 5.0
    bytes_per_second: float | None = DEFAULTS.scrub_bytes_per_second
    halt: threading.Event = field(default_factory=threading.Event)

    @property
    def due_after(self) -> timedelta:
        """The age of a look at which the next one is due."""
        return self.max_age / 2


@dataclass(frozen=True, slots=True)
class Scope:
    """Which blobs a scrub by hand looks at.

    Attributes:
        model: those of the versions of one model; None is every one.
        everything: also those that were looked at of late.
        after: the digest to go on behind.
    """

    model: str | None = None
    everything: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class CorruptBlob:
    """A blob that was found to be corrupt, now or before, and the versions that have it."""

    digest: str
    size: int
    fault: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a turn of a scrub saw; `next` is where to go on, the empty text at the end."""

    blobs: int
    bytes: int
    corrupt: tuple[CorruptBlob, ...]
    next: str = ""
    remaining_blobs: int = 0
    remaining_bytes: int = 0


def scrub_some(
    database: Database, store: ArtifactStore, now: datetime, *, pace: Pace | None = None
) -> Scrubbed:
    """Look at the blobs that are due, as many as the pace allows; then put wrong bytes aside.

    Raises:
        StoreUnreachableError: nothing can be said about the rest.
    """
    pace = pace or Pace()
    with database.reading() as session:
        due = at_rest.list_due(session, now - pace.due_after, PAGE)
    looks = _Turn(database, store, pace, SYSTEM, now).take(due)
    return _scrubbed(database, looks)


def scrub_by_hand(
    database: Database,
    store: ArtifactStore,
    scope: Scope,
    *,
    max_age: timedelta = DEFAULTS.scrub_within,
    actor: Actor,
    now: datetime,
) -> Scrubbed:
    """Look at the next blobs of a scope for some seconds; `next` says where to go on.

    Raises:
        ModelNotFoundError: there is no such model.
        StoreUnreachableError: nothing can be said about the rest.
    """
    pace = Pace(max_age=max_age, bytes_per_second=None)
    chosen = scope.everything or scope.model is not None
    before = None if chosen else now - pace.due_after
    with database.reading() as session:
        if scope.model is not None:
            get_model(session, scope.model)
        wanted = at_rest.Wanted(scope.model, before)
        found = at_rest.list_after(session, wanted, scope.after, PAGE)
    looks = _Turn(database, store, pace, actor, now).take(found)
    last = looks[-1].blob.digest if looks else scope.after
    with database.reading() as session:
        blobs, size = at_rest.count_after(session, wanted, last)
    return _scrubbed(database, looks, last if blobs else "", (blobs, size))


def look_again(
    database: Database,
    store: ArtifactStore,
    digests: Collection[str],
    *,
    actor: Actor,
    now: datetime,
) -> Scrubbed:
    """Look at these blobs now, all of them.

    Raises:
        StoreUnreachableError: nothing can be said about them.
    """
    with database.reading() as session:
        found = at_rest.list_named(session, digests)
    pace = Pace(seconds=float("inf"), bytes_per_second=None)
    looks = _Turn(database, store, pace, actor, now).take(found)
    return _scrubbed(database, looks)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn of a scrub."""

    database: Database
    store: ArtifactStore
    pace: Pace
    actor: Actor
    now: datetime

    def take(self, blobs: Sequence[RestingBlob]) -> list[Look]:
        """Look at blobs one by one, and write down each look before the next."""
        began, looks, read = time.monotonic(), list[Look](), 0
        for blob in blobs:
            spent = looks and time.monotonic() - began > self.pace.seconds
            if spent or self.pace.halt.is_set():
                break
            looks.append(self._look(blob))
            read += blob.size
            self._wait(read, began)
        integrity.put_aside(self.database, self.store, self.now)
        return looks

    def _look(self, blob: RestingBlob) -> Look:
        look = integrity.look_at(self.store, blob, self.now)
        with self.database.writing() as session:
            integrity.remember(session, [look], actor=self.actor)
        return look

    def _wait(self, read: int, began: float) -> None:
        if self.pace.bytes_per_second is not None:
            ahead = read / self.pace.bytes_per_second - (time.monotonic() - began)
            self.pace.halt.wait(max(0.0, min(ahead, self.pace.seconds)))


def _scrubbed(
    database: Database,
    looks: Sequence[Look],
    after: str = "",
    remaining: tuple[int, int] = (0, 0),
) -> Scrubbed:
    corrupt = []
    with database.reading() as session:
        for look in looks:
            if look.fault is not None:
                digest = look.blob.digest
                held = at_rest.versions_with(session, digest)
                named = tuple(f"{version.model}/{version.number}" for version in held)
                corrupt.append(CorruptBlob(digest, look.blob.size, look.fault, named))
    size = sum(look.blob.size for look in looks)
    return Scrubbed(len(looks), size, tuple(corrupt), after, *remaining)
