"""One attempt at a job: what the function that does the job is given, and what it may do.

What always holds: everything that an attempt changes goes through `effect` or `finish`, and so
commits only while its lease holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.controller.domain.commands import Commands
from mlreg.controller.domain.connections import Connections
from mlreg.controller.executors.executor import Executor
from mlreg.controller.services import leases
from mlreg.controller.services.leases import Ended, Lease
from mlreg.controller.services.sourcing import SourceParts
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.clock import Clock
from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.store.database import Database, WriteSession

if TYPE_CHECKING:
    from mlreg.controller.domain.budget import Hold


class HaltedError(UnavailableError):
    """The attempt was told to stop: its lease is lost, or the worker ends."""

    code = "halted"

    def __init__(self) -> None:
        super().__init__("the attempt was halted")


@dataclass(slots=True)
class Attempt:
    """One attempt at a job, alive as long as its lease.

    Attributes:
        lease: kind, payload, number of the attempt.
        database: for reading; changes go through `effect` and `finish`.
        store: the artifacts.
        clock: business time.
        executor: runs functions in child processes.
        folder: where this worker keeps files; an attempt makes a folder of its own in it.
        halt: set when the attempt should stop; pass it to the executor, look at it in long loops.
        outcome: JSON to be kept on the job; set it inside the block of `finish`.
        signing_key: the file of the key that this worker signs versions with, if it has one.
        connections: what this worker may read beside the feedback log.
        commands: what it may train with beside its own trainers.
    """

    lease: Lease
    database: Database
    store: ArtifactStore
    clock: Clock
    executor: Executor
    folder: Path
    halt: threading.Event
    finished: bool = False
    outcome: dict[str, object] | None = None
    signing_key: Path | None = None
    connections: Connections = field(default_factory=Connections)
    commands: Commands = field(default_factory=Commands)

    @property
    def sources(self) -> SourceParts:
        """What freezes and reads sources."""
        return SourceParts(self.database, self.store, self.connections)

    @contextmanager
    def effect(self) -> Iterator[WriteSession]:
        """Open a transaction that commits only under the attempt's lease.

        Raises:
            LeaseLostError: it was taken back or cancelled; nothing is committed.
        """
        with self.database.writing() as session:
            leases.effect(session, self.lease)
            yield session

    @contextmanager
    def finish(self) -> Iterator[WriteSession]:
        """Open the last transaction: its commit also ends the job as succeeded.

        Raises:
            LeaseLostError: it was taken back or cancelled; nothing is committed.
        """
        with self.effect() as session:
            yield session
            leases.complete(session, self.lease, self.outcome)
        self.finished = True

    def hold(self, session: WriteSession, hold: Hold) -> None:
        """Let the job wait until a budget is free again; this attempt does not count.

        Raises:
            LeaseLostError: it was taken back or cancelled; nothing is committed.
        """
        leases.hold(session, self.lease, hold)
        self.finished = True

    def check(self) -> None:
        """Raise when the attempt should stop.

        Raises:
            HaltedError: it should.
        """
        if self.halt.is_set():
            raise HaltedError


def _nothing(session: WriteSession, ended: Ended, now: datetime) -> None:
    del session, ended, now


@dataclass(frozen=True, slots=True)
class Handler:
    """How one kind of job is done.

    Attributes:
        perform: does an attempt; raising fails it. `InvalidError`, `NotFoundError`,
            `NotAllowedError`, `RefusedError` and `IntegrityError` end the job as failed, for
            another attempt would meet them again; everything else is tried again.
        ended: called in the transaction that records an attempt that did not succeed; the new
            state (queued, failed or dead) is in its argument.
    """

    perform: Callable[[Attempt], None]
    ended: Callable[[WriteSession, Ended, datetime], None] = field(default=_nothing)
