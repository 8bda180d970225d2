"""The chores of this house, and their turn: enqueued by the controller's beat, done by a worker.

What always holds: what is due, and what came of it, stands in the table `chore`; a chore that fails
says so there and is tried again at its next turn.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.services import (
    checkpointing,
    delivering,
    jobs,
    lineage_chore,
    parity_chore,
    retention,
    trigger_records,
    upkeep,
    upload_sweeping,
)
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.chore import (
    Chore,
    ChoreRoom,
    Chores,
    ChoreSettings,
    chores_by_name,
)
from mlreg.controller.store import chores as rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.services.leases import Ended
    from mlreg.registry.store.database import Database, ReadSession, WriteSession

KIND = "chore"
PRIORITY = 20
MAX_OUTCOME_CHARACTERS = 500
URGENT_PAUSE = timedelta(seconds=5)

CHORES: Chores = chores_by_name(
    checkpointing.SIGN,
    checkpointing.WALK,
    delivering.SEND,
    delivering.PRUNE,
    upkeep.SCRUB,
    upkeep.COLLECT,
    lineage_chore.EXPORT,
    upload_sweeping.SWEEP,
    parity_chore.PARITY,
    retention.EXPIRE,
    trigger_records.PRUNE,
)

log = logging.getLogger("mlreg.chores")


def enqueue_due(database: Database, chores: Chores = CHORES) -> list[str]:
    """Ask a worker for every chore whose turn has come; return their names."""
    with database.reading() as session:
        now, last = rows.real_now(session), rows.last_starts(session)
        due = [chore.name for chore in chores.values() if _is_due(session, chore, last, now)]
    for name in due:
        with database.writing() as session:
            _enqueue(session, name)
    return due


def handler(settings: ChoreSettings, chores: Chores = CHORES) -> Handler:
    """Return how a worker with these settings does a chore."""

    def perform(attempt: Attempt) -> None:
        _perform(attempt, settings, chores)

    return Handler(perform, _note_failure)


def _is_due(
    session: ReadSession, chore: Chore, last: Mapping[str, datetime], now: datetime
) -> bool:
    need = chore.need(session)
    if need == "nothing" or chore.name not in last:
        return need != "nothing"
    pause = min(URGENT_PAUSE, chore.every) if need == "urgent" else chore.every
    return last[chore.name] + pause <= now


def _enqueue(session: WriteSession, name: str) -> None:
    job = jobs.enqueue(
        session,
        kind=KIND,
        payload={"name": name},
        dedupe_key=f"{KIND}:{name}",
        lock_key=f"{KIND}:{name}",
        priority=PRIORITY,
        max_attempts=1,
    )
    if job is not None:
        rows.note_start(session, name)


def _perform(attempt: Attempt, settings: ChoreSettings, chores: Chores) -> None:
    name = str(attempt.lease.payload["name"])
    if name not in chores:
        raise TooNewError(what="a job", problem=f"there is no chore {name!r} here")
    with attempt.database.reading() as session:
        now = rows.real_now(session)
    room = ChoreRoom(attempt.database, attempt.store, now, settings, attempt.halt)
    outcome = chores[name].run(room)[:MAX_OUTCOME_CHARACTERS]
    with attempt.finish() as session:
        rows.note_outcome(session, name, outcome)
    log.info("chore %s: %s", name, outcome)


def _note_failure(session: WriteSession, ended: Ended, now: datetime) -> None:
    del now
    if ended.state == "queued":
        return
    outcome = f"failed: {ended.error}"[:MAX_OUTCOME_CHARACTERS]
    log.error("chore %s %s", ended.payload["name"], outcome)
    rows.note_outcome(session, str(ended.payload["name"]), outcome)
