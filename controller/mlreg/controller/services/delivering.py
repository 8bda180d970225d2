"""The chores of the outbox: tell the webhooks, and forget what is old.

What always holds: nothing is forgotten that some enabled webhook still waits for.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.services import jobs
from mlreg.controller.services.chore import Chore, ChoreRoom, Need
from mlreg.controller.store import chores as chore_rows
from mlreg.controller.store.installation import get_installation
from mlreg.registry.services.delivery import Round, deliver
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.posting import Postman
from mlreg.registry.store import idempotency_keys, outbox, webhooks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

    Prune = Callable[[WriteSession, datetime, int], int]

EVERY = timedelta(seconds=2)
PRUNE_EVERY = timedelta(hours=1)
KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 5_000


def send(room: ChoreRoom) -> str:
    """Send what is due."""
    dispatcher = Dispatcher(Postman(room.settings.posts), room.settings.targets)
    sent = deliver(Round(room.database, dispatcher, room.now, room.halt))
    return f"{sent} sent"


def prune(room: ChoreRoom) -> str:
    """Delete events, deliveries, idempotency keys and chores' jobs of more than 30 days ago."""
    with room.database.reading() as session:
        virtual = get_installation(session).virtual_now
    real, business = room.now - KEPT, (virtual or room.now) - KEPT
    counts = {
        "events": _prune(room, real, outbox.prune),
        "deliveries": _prune(room, real, webhooks.prune_deliveries),
        "keys": _prune(room, business, idempotency_keys.prune),
        "chores": _prune(room, real, chore_rows.prune_jobs),
        "jobs": _prune(room, room.now - timedelta(days=room.settings.job_days), _prune_jobs),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + " deleted"


def _prune_jobs(session: WriteSession, before: datetime, limit: int) -> int:
    return jobs.prune(session, before, limit)


def _prune(room: ChoreRoom, before: datetime, some: Prune) -> int:
    """Delete in short transactions until nothing old is left."""
    total = 0
    while not room.halt.is_set():
        with room.database.writing() as session:
            deleted = some(session, before, PRUNED_AT_ONCE)
        total += deleted
        if deleted < PRUNED_AT_ONCE:
            break
    return total


def _has_work(session: ReadSession) -> Need:
    return "something" if webhooks.has_work(session) else "nothing"


SEND = Chore("deliver", EVERY, send, _has_work)
PRUNE = Chore("prune", PRUNE_EVERY, prune)
