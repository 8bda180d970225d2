"""The chores of the audit log: sign what it is each minute, walk along it each day.

What always holds: a checkpoint is handed out only after a witness outside the database has it; a
log that is not what it was is reported, by an event and in the worker's log, and not signed.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.services.chore import Chore, ChoreRoom, Need
from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.services import audit, checkpoints
from mlreg.registry.services.checkpoints import AuditBrokenError, held_by, next_checkpoint
from mlreg.registry.services.outbox import tell
from mlreg.registry.store.checkpoints import count_unsigned
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.witnesses.opening import Notary, open_notary

if TYPE_CHECKING:
    from mlreg.registry.store.checkpoints import NewCheckpoint
    from mlreg.registry.store.database import ReadSession

EVERY = timedelta(seconds=60)
AT_ENTRIES = 100
WALK_EVERY = timedelta(days=1)

log = logging.getLogger("mlreg.chores")


class NotKeptError(UnavailableError):
    """Some witness has not kept a checkpoint."""

    code = "checkpoint_not_kept"

    def __init__(self, *, size: int, failures: list[str]) -> None:
        super().__init__(f"checkpoint {size}: {'; '.join(failures)}")


def sign(room: ChoreRoom) -> str:
    """Sign what the log is, and have it kept.

    Raises:
        AuditBrokenError: the log is not what it was; nothing is signed.
        NotKeptError: a witness failed; the others have it.
    """
    notary = open_notary(room.settings.witnesses)
    if notary is None:
        return "no key: set MLREG_CHECKPOINT_FOLDER or MLREG_CHECKPOINT_KEY"
    try:
        with room.database.reading() as session:
            made = next_checkpoint(session, notary.key, notary.newest, now=room.now)
    except AuditBrokenError as error:
        _report(room, error)
        raise
    if made is None:
        return "nothing new"
    failures = _keep(notary, made)
    failpoint("checkpoint.kept")
    if len(failures) < len(notary.witnesses) or not notary.witnesses:
        with room.database.writing() as session:
            checkpoints.add_checkpoint(session, made)
    if failures:
        raise NotKeptError(size=made.size, failures=failures)
    return f"{made.size} entries are signed"


def walk(room: ChoreRoom) -> str:
    """Walk along the whole log, against the newest checkpoint outside the database.

    Raises:
        AuditBrokenError: an entry is not as it was written.
    """
    notary = open_notary(room.settings.witnesses)
    held = [held_by(notary.newest)] if notary and notary.newest else []
    with room.database.reading() as session:
        found = audit.verify(session, held)
    if found.first_bad is not None:
        error = AuditBrokenError(seq=found.first_bad, reason=found.reason)
        _report(room, error)
        raise error
    return f"{found.entries} entries hold"


def _keep(notary: Notary, made: NewCheckpoint) -> list[str]:
    """Hand a checkpoint to every witness; return what those said that failed."""
    failures = []
    for witness in notary.witnesses:
        try:
            witness.keep(made.note, made.size)
        except UnavailableError as error:
            failures.append(str(error))
    return failures


def _report(room: ChoreRoom, error: AuditBrokenError) -> None:
    log.critical("THE AUDIT LOG IS BROKEN: %s", error)
    body = {"model": None, "seq": error.seq, "reason": error.reason}
    with room.database.writing() as session:
        tell(session, "audit.broken", body, now=room.now)


def _unsigned(session: ReadSession) -> Need:
    count = count_unsigned(session)
    if count == 0:
        return "nothing"
    return "urgent" if count >= AT_ENTRIES else "something"


SIGN = Chore("checkpoint", EVERY, sign, _unsigned)
WALK = Chore("verify-audit", WALK_EVERY, walk)
