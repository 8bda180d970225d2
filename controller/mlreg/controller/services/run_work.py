"""One attempt at one run: what all of its steps need to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services.attempt import Attempt
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.runs import RunNotFoundError
from mlreg.controller.store import runs as rows
from mlreg.registry.domain.actor import Actor
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class RunWork:
    """One attempt at one run."""

    attempt: Attempt
    run_id: int
    model: Model
    specification: RunSpecification
    asked_at: datetime
    actor: Actor
    log: RunLogWriter


def read_run(session: ReadSession, run_id: int) -> Run:
    """Return a run.

    Raises:
        RunNotFoundError: there is none of that number.
    """
    found = rows.find_run(session, run_id)
    if found is None:
        raise RunNotFoundError(run_id=run_id)
    return found[0]


def locked_run(session: WriteSession, run_id: int) -> Run:
    """Return a run as of now, its row locked until the commit.

    Raises:
        RunNotFoundError: there is none of that number.
    """
    run = rows.lock_run(session, run_id)
    if run is None:
        raise RunNotFoundError(run_id=run_id)
    return run
