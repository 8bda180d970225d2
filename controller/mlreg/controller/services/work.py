"""The worker: claims jobs, does them, records how they ended.

What always holds: at most `slots` jobs at once, and one where it is to be alone; no job is claimed
whose kind has no handler here, or that asks for a label that this worker has not; what a newer
mlreg wrote is given back as it was, and not taken again; an attempt that raises is recorded as
failed under its lease, one whose lease is lost has no effect; when told to stop, the worker claims
nothing more, waits for its jobs, and gives back those that do not end within the grace.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mlreg.client.edge import Edge
from mlreg.controller.domain.commands import Commands
from mlreg.controller.domain.connections import Connections
from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.executors.executor import Executor
from mlreg.controller.executors.kinds import ExecutorSettings, open_executors
from mlreg.controller.executors.local import PRELOAD, LocalExecutor
from mlreg.controller.services import claims, leases
from mlreg.controller.services.attempt import Attempt, HaltedError, Handler
from mlreg.controller.services.claims import Price
from mlreg.controller.services.handlers import HANDLERS
from mlreg.controller.services.heartbeats import Heartbeats
from mlreg.controller.services.leftovers import Leftovers
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.services.work_folder import own_folder
from mlreg.controller.store.jobs import CHANNEL
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.clock import Clock
from mlreg.registry.domain.errors import RegistryError, UnavailableError
from mlreg.registry.store.database import Database
from mlreg.registry.store.notifications import listen

if TYPE_CHECKING:
    from mlreg.controller.services.leases import Lease

DATABASE_PAUSE_SECONDS = 1.0
CHILD_MODULES = (
    "mlreg.controller.trainers.child",
    "mlreg.controller.trainers.lightgbm",
    "mlreg.controller.services.judging",
)

log = logging.getLogger("mlreg.worker")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker works.

    Attributes:
        name: shown on its jobs, e.g. `host:pid`; no two workers have the same.
        labels: it takes jobs that ask for one of them, beside those that ask for none.
        folder: where each worker makes the folder in which its runs keep their files.
        environment: of the process; children see only harmless names of it.
        lease_seconds: without a heartbeat for so long, a job is taken back.
        poll_seconds: the longest wait when a notice of a new job was lost.
        slots: jobs at once.
        grace_seconds: how long a stopping worker waits for its jobs.
        signing_key: the file of the key that signs what runs register; None: nothing is signed.
        connections: what jobs may read beside the feedback log.
        commands: what runs may train with beside our own trainers.
        executors: where they may train beside this machine.
        price: what a second of this worker costs; None: what its runs take is not priced.
    """

    name: str
    folder: Path
    labels: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: float = 30.0
    poll_seconds: float = 1.0
    slots: int = 2
    grace_seconds: float = 10.0
    signing_key: Path | None = None
    connections: Connections = field(default_factory=Connections)
    commands: Commands = field(default_factory=Commands)
    executors: ExecutorSettings = field(default_factory=ExecutorSettings)
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker works with."""

    database: Database
    store: ArtifactStore
    clock: Clock
    executor: Executor
    handlers: Mapping[str, Handler]


class Worker:
    """Claims and does jobs until it is told to stop."""

    def __init__(self, parts: WorkerParts, settings: WorkerSettings) -> None:
        self._parts = parts
        self._settings = settings
        self._kinds = sorted(parts.handlers)
        self._wake = threading.Event()
        self._doing: dict[str, Lease] = {}
        self._heartbeats = Heartbeats(parts.database, settings.lease_seconds)
        who = Introduction(settings.name, "worker", settings.labels, tuple(self._kinds))
        self._presence = Presence(parts.database, who)
        self._took_back_at = -settings.poll_seconds
        self._leftovers = Leftovers(settings.folder.parent)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then drain."""
        threading.Thread(target=self._listen, args=[stop], name="listener", daemon=True).start()
        pool = ThreadPoolExecutor(self._settings.slots, thread_name_prefix="job")
        with self._presence, self._heartbeats:
            while not stop.is_set():
                self._wake.clear()
                self._leftovers.sweep()
                if not self._start_next(pool):
                    self._wake.wait(2 * self._settings.poll_seconds)
            self._drain(pool)

    def _listen(self, stop: threading.Event) -> None:
        url, poll_seconds = self._parts.database.url, self._settings.poll_seconds
        for _ in listen(url, [CHANNEL], poll_seconds=poll_seconds, stop=stop):
            self._wake.set()

    def _start_next(self, pool: ThreadPoolExecutor) -> bool:
        """Start the next job in a free slot; False when there is no slot or no job."""
        doing = list(self._doing.values())
        if len(doing) >= self._settings.slots or any(lease.alone for lease in doing):
            return False
        lease = self._next_lease(idle=not doing)
        if lease is None:
            return False
        self._doing[lease.token] = lease
        pool.submit(self._work, lease)
        return True

    def _next_lease(self, *, idle: bool) -> Lease | None:
        """Claim one job: of a batch, a poison job would take the others' attempts with it."""
        settings, database = self._settings, self._parts.database
        try:
            self._take_back()
            claim = claims.Claim(
                settings.name,
                tuple(self._kinds),
                settings.lease_seconds,
                labels=settings.labels,
                declined=tuple(self._presence.declined),
                price=settings.price,
                idle=idle,
            )
            return next(iter(claims.claim_all(database, claim, 1)), None)
        except (RegistryError, SQLAlchemyError) as error:
            log.warning("no jobs: %s", str(error).splitlines()[0])
            time.sleep(DATABASE_PAUSE_SECONDS)
            return None

    def _take_back(self) -> None:
        """Queue or bury the jobs of workers that are gone, if nobody did so just now.

        A worker with much to do claims far more often than leases run out.
        """
        now_seconds = time.monotonic()
        if now_seconds - self._took_back_at < self._settings.poll_seconds / 2:
            return
        self._took_back_at = now_seconds
        with self._parts.database.writing() as session:
            for ended in claims.take_back(session, self._kinds):
                log.warning("job %d: %s; now %s", ended.job_id, ended.error, ended.state)
                now = self._parts.clock.now()
                self._parts.handlers[ended.kind].ended(session, ended, now)

    def _work(self, lease: Lease) -> None:
        try:
            with self._heartbeats.holding(lease) as halt:
                self._attempt(lease, halt)
        finally:
            del self._doing[lease.token]
            self._wake.set()

    def _attempt(self, lease: Lease, halt: threading.Event) -> None:
        parts = self._parts
        attempt = Attempt(
            lease,
            parts.database,
            parts.store,
            parts.clock,
            parts.executor,
            self._settings.folder,
            halt,
            signing_key=self._settings.signing_key,
            connections=self._settings.connections,
            commands=self._settings.commands,
        )
        started = time.monotonic()
        with Edge(lambda error: self._record(lease, error)):
            parts.handlers[lease.kind].perform(attempt)
            if not attempt.finished:
                with attempt.finish():
                    pass
            seconds = time.monotonic() - started
            log.info("job %d (%s) done in %.3f s", lease.job_id, lease.kind, seconds)

    def _record(self, lease: Lease, error: Exception) -> None:
        try:
            if isinstance(error, leases.LeaseLostError):
                _log_lost(lease)
            elif isinstance(error, HaltedError):
                self._give_back(lease, "the worker was stopped")
            elif isinstance(error, TooNewError):
                self._presence.decline(lease.job_id)
                self._give_back(lease, f"worker {self._settings.name} is too old: {error}")
            else:
                self._fail(lease, error)
        except leases.LeaseLostError:
            _log_lost(lease)
        except (RegistryError, SQLAlchemyError):
            log.exception("the end of job %d is not recorded; its lease will run out", lease.job_id)

    def _give_back(self, lease: Lease, why: str) -> None:
        now = self._parts.clock.now()
        with self._parts.database.writing() as session:
            ended = leases.release(session, lease, why)
            self._parts.handlers[lease.kind].ended(session, ended, now)
        log.info("job %d (%s) given back: %s", lease.job_id, lease.kind, why)

    def _fail(self, lease: Lease, error: Exception) -> None:
        final = isinstance(error, RegistryError) and not isinstance(error, UnavailableError)
        if not isinstance(error, RegistryError):
            log.error("job %d (%s) met a bug", lease.job_id, lease.kind, exc_info=error)
        now = self._parts.clock.now()
        line = str(error) or type(error).__name__
        with self._parts.database.writing() as session:
            ended = leases.fail(session, lease, line, final=final)
            self._parts.handlers[lease.kind].ended(session, ended, now)
        log.warning("job %d (%s) is %s: %s", lease.job_id, lease.kind, ended.state, line)

    def _drain(self, pool: ThreadPoolExecutor) -> None:
        """Wait for the running jobs; after the grace, halt them."""
        timer = threading.Timer(self._settings.grace_seconds, self._heartbeats.halt_all)
        timer.start()
        pool.shutdown(wait=True)
        timer.cancel()


def _log_lost(lease: Lease) -> None:
    """Say that an attempt is abandoned; operators look for these two words."""
    log.error(
        "LEASE LOST: job %d (%s), attempt %d is abandoned without effect",
        lease.job_id,
        lease.kind,
        lease.attempt,
    )


def run_worker(
    database: Database,
    store: ArtifactStore,
    clock: Clock,
    settings: WorkerSettings,
    stop: threading.Event,
    handlers: Mapping[str, Handler] | None = None,
) -> None:
    """Work in this process until `stop` is set; returns once everything is drained.

    Args:
        database: where jobs are.
        store: where artifacts are.
        clock: business time.
        settings: how to work.
        stop: set it (from a signal handler, say) to drain and return.
        handlers: how each kind of job is done; mlreg's own unless given.
    """
    local = LocalExecutor(settings.environment, (*PRELOAD, *CHILD_MODULES))
    executor = open_executors(settings.executors, local)
    parts = WorkerParts(
        database, store, clock, executor, HANDLERS if handlers is None else handlers
    )
    try:
        with own_folder(settings.folder) as folder:
            Worker(parts, replace(settings, folder=folder)).run(stop)
    finally:
        executor.close()
