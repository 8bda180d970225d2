"""Reproductions: a version rebuilt from its record by a worker, and the attestation of it.

What always holds: it is a job, and its end is an attestation on the version, whatever it says;
nothing else changes. A deep one rebuilds the whole chain of parents, each from the rebuilt one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from mlreg.controller.domain.reproduction import Finding
from mlreg.controller.services import jobs, leases
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.rebuild_record import (
    NotReproducibleError,
    list_chain,
    read_record,
)
from mlreg.controller.services.rebuilding import Files, Rebuilt, rebuild
from mlreg.controller.services.run_folder import open_folder
from mlreg.controller.store.jobs import find_job
from mlreg.controller.store.policies import model_of
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import attestations, audit, catalog
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

KIND = "reproduce"
PRIORITY = 120
"""After every run and evaluation: a proof can wait."""


class ReproductionNotFoundError(NotFoundError):
    """There is no reproduction of that number."""

    code = "reproduction_not_found"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no reproduction {number}")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A reproduction that was asked for, and what became of it.

    Attributes:
        progress: while it runs: `step`, and which of how many versions (`done`, `of`);
            at its end: `outcome`, `attestation`, and the `finding`.
    """

    number: int
    model: str
    version: int
    deep: bool
    state: str
    error: str | None
    progress: Mapping[str, Any]


def request_reproduction(
    session: WriteSession, model: Model, number: int, *, deep: bool, actor: Actor, now: datetime
) -> int:
    """Ask for a version to be rebuilt; return the reproduction's number.

    While an equal one is queued or running, that is the one.

    Raises:
        VersionNotFoundError: there is no such version.
    """
    catalog.get_version(session, model, number)
    key = f"{KIND}:{model.id}:{number}:{deep}"
    payload = {"model_id": model.id, "version": number, "deep": deep, "actor": actor.name}
    job_id = jobs.enqueue(
        session,
        kind=KIND,
        payload=payload,
        dedupe_key=key,
        lock_key=f"{KIND}:{model.id}",
        priority=PRIORITY,
    )
    found = job_id or jobs.find_open(session, key) or 0
    audit.record(
        session,
        action="reproduction.request",
        subject=f"version:{model.name}/{number}",
        actor=actor,
        body={"reproduction": found, "deep": deep},
        now=now,
    )
    return found


def get_reproduction(session: ReadSession, number: int) -> Reproduction:
    """Return a reproduction.

    Raises:
        ReproductionNotFoundError: there is none of that number.
    """
    job = find_job(session, number)
    if job is None or job.kind != KIND:
        raise ReproductionNotFoundError(number=number)
    return Reproduction(
        number=number,
        model=model_of(session, job.payload["model_id"]).name,
        version=job.payload["version"],
        deep=job.payload["deep"],
        state=job.state,
        error=job.error,
        progress=job.outcome or {},
    )


@dataclass(frozen=True, slots=True)
class _Work:
    attempt: Attempt
    model: Model
    version: int
    deep: bool
    actor: Actor

    def tell(self, step: str, done: int = 0, of: int = 1) -> None:
        """Say how far it is."""
        leases.note(
            self.attempt.database, self.attempt.lease, {"step": step, "done": done, "of": of}
        )


def perform(attempt: Attempt) -> None:
    """Rebuild the version that the job names, and attest what was found."""
    payload = attempt.lease.payload
    with attempt.database.reading() as session:
        model = model_of(session, cast("int", payload["model_id"]))
    work = _Work(
        attempt,
        model,
        cast("int", payload["version"]),
        bool(payload["deep"]),
        Actor(name=cast("str", payload["actor"]), kind="service", role="controller"),
    )
    finding = _find_out(work)
    body = finding.to_json()
    now = attempt.clock.now()
    with attempt.finish() as session:
        attestation = attestations.attest(
            session,
            model,
            work.version,
            attestations.Finding("reproduce", finding.outcome, {**body, "deep": work.deep}),
            actor=work.actor,
            now=now,
        )
        attempt.outcome = {
            "outcome": finding.outcome,
            "attestation": attestation.id,
            "finding": body,
        }


def _find_out(work: _Work) -> Finding:
    """Rebuild the version, and before it its ancestors where the proof is to be deep."""
    try:
        chain = _chain(work)
    except NotReproducibleError as error:
        return Finding(work.version, "not_reproducible", str(error))
    ancestors: list[Finding] = []
    parent: Files | None = None
    for done, number in enumerate(chain):
        tell = partial(work.tell, done=done, of=len(chain))
        rebuilt = _rebuild(work, number, parent, tell)
        if number == work.version:
            return replace(rebuilt.finding, ancestors=tuple(ancestors))
        ancestors.append(rebuilt.finding)
        parent = rebuilt.model
        if rebuilt.finding.outcome != "identical":
            break
    return _stopped(work, ancestors)


def _chain(work: _Work) -> Sequence[int]:
    if not work.deep:
        return [work.version]
    with work.attempt.database.reading() as session:
        return list_chain(session, work.model, work.version)


def _rebuild(
    work: _Work, number: int, parent: Files | None, tell: Callable[[str], None]
) -> Rebuilt:
    attempt, name = work.attempt, f"{work.model.name}/{number}"
    tell(f"rebuilding {name}")
    try:
        with attempt.database.reading() as session:
            record = read_record(session, work.model, number)
    except NotReproducibleError as error:
        return Rebuilt(Finding(number, "not_reproducible", str(error)), None)

    def hear(lines: Sequence[str]) -> None:
        if lines:
            tell(f"rebuilding {name}: {lines[-1][:80]}")

    with open_folder(attempt, f"reproduction-{attempt.lease.job_id}") as folder:
        return rebuild(attempt, folder, record, parent, hear)


def _stopped(work: _Work, ancestors: list[Finding]) -> Finding:
    """Return what an ancestor that is not identical says of the version."""
    last = ancestors[-1]
    reason = f"its ancestor {work.model.name}/{last.version}: {last.reason}"
    return Finding(work.version, last.outcome, reason, ancestors=tuple(ancestors))


HANDLER = Handler(perform, alert_if_dead)
