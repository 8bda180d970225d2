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

from mlreg.registry.domain.actor import SYSTEM, Actor
from mlreg.registry.services import integrity
from mlreg.registry.services.catalog import get_model
from mlreg.registry.services.integrity import Look
from mlreg.registry.store import at_rest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.at_rest import RestingBlob
    from mlreg.registry.store.database import Database

MIB = 2**20
PAGE = 50


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of a machine a scrub may take.

    Attributes:
        max_age: within which every blob is looked at; a look is due at half of it.
        seconds: after which a turn begins no further blob.
        bytes_per_second: how fast it reads on average; None is as fast as it can.
        halt: set when it should stop at the next blob.
    """

    max_age: timedelta = timedelta(days=14)
    seconds: float = 5.0
    bytes_per_second: float | None = 32.0 * MIB
    halt: threading.Event = field(default_factory=threading.Event)

    @property
    def due_after(self) -> timedelta:
        """The age of a look at which the next one is due."""
        return self.max_age / 2


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a turn of a scrub saw.

    Attributes:
        corrupt: the blobs that were found to be corrupt, now or before.
        next: where to go on, the empty text at the end.
    """

    blobs: int
    bytes: int
    corrupt: tuple[Look, ...]
    next: str = ""


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
    looks = _look(database, store, due, pace, now, SYSTEM)
    integrity.put_aside(database, store)
    return _scrubbed(looks)


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


def scrub_by_hand(
    database: Database, store: ArtifactStore, scope: Scope, *, actor: Actor, now: datetime
) -> Scrubbed:
    """Look at the next blobs of a scope for some seconds; `next` says where to go on.

    Raises:
        ModelNotFoundError: there is no such model.
        StoreUnreachableError: nothing can be said about the rest.
    """
    pace = Pace(bytes_per_second=None)
    before = None if scope.everything or scope.model is not None else now - pace.due_after
    with database.reading() as session:
        if scope.model is not None:
            get_model(session, scope.model)
        found = at_rest.list_after(session, scope.after, PAGE, model=scope.model, before=before)
    looks = _look(database, store, found, pace, now, actor)
    integrity.put_aside(database, store)
    ended = len(looks) == len(found) < PAGE
    return _scrubbed(looks, "" if ended or not looks else looks[-1].blob.digest)


def look_again(
    database: Database,
    store: ArtifactStore,
    digests: Sequence[str],
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
    looks = _look(database, store, found, Pace(seconds=float("inf")), now, actor)
    integrity.put_aside(database, store)
    return _scrubbed(looks)


def _look(
    database: Database,
    store: ArtifactStore,
    blobs: Sequence[RestingBlob],
    pace: Pace,
    now: datetime,
    actor: Actor,
) -> list[Look]:
    """Look at blobs one by one, and write down each look before the next."""
    began, looks, read = time.monotonic(), [], 0
    for blob in blobs:
        if pace.halt.is_set() or time.monotonic() - began > pace.seconds:
            break
        look = integrity.look_at(store, blob, now)
        with database.writing() as session:
            integrity.remember(session, [look], actor=actor)
        looks.append(look)
        read += blob.size
        if pace.bytes_per_second is not None:
            ahead = read / pace.bytes_per_second - (time.monotonic() - began)
            pace.halt.wait(max(0.0, min(ahead, pace.seconds)))
    return looks


def _scrubbed(looks: Sequence[Look], after: str = "") -> Scrubbed:
    corrupt = tuple(look for look in looks if look.fault is not None)
    return Scrubbed(len(looks), sum(look.blob.size for look in looks), corrupt, after)
