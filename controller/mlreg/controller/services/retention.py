"""Retention: how long the logged rows of a model are kept, and the chore that lets them go.

```
InvalidError
└── InvalidRetentionError   shorter than a label may take, or than a day
```

What always holds: a segment goes as a whole, when its newest row is older than the model's days, in
business time; one that a version or a fresh snapshot needs stays in the log until they do not, and
one that the log has merged since goes when no snapshot needs it; what went is written down;
aggregates (profiles, readings) stay, but for the single rows that they name.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.losses import EXPIRED
from mlreg.controller.feedback.segments import count_stored_rows
from mlreg.controller.services.chore import Chore
from mlreg.controller.store import log_upkeep, row_traces
from mlreg.controller.store.feedback import lock_model
from mlreg.controller.store.log_upkeep import Loss
from mlreg.controller.store.tables import Retention
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import id_of, target_contract_of
from mlreg.registry.store.clock import business_now

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.chore import ChoreRoom
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import Database, WriteSession
    from mlreg.registry.store.tables import Model

MAX_DAYS = 36_500
TURN_SEGMENTS = 200
TURN_BATCHES = 20_000
TURN_HELD = 20
"""Fewer, for each is opened to count its rows."""


class InvalidRetentionError(InvalidError):
    """Rows would go before their labels may have come."""

    code = "invalid_retention"

    def __init__(self, *, days: int, least: int) -> None:
        super().__init__(f"{days} days are too few: a label of this model may take {least}")


def set_retention(
    session: WriteSession, model: Model, days: int | None, *, actor: Actor, now: datetime
) -> None:
    """Keep the logged rows of a model for so many days, None for ever.

    Raises:
        InvalidRetentionError: labels may come later than that.
    """
    delay = timedelta(seconds=target_contract_of(model).max_label_delay_seconds)
    least = -(-delay // timedelta(days=1))
    if days is not None and not max(1, least) <= days <= MAX_DAYS:
        raise InvalidRetentionError(days=days, least=max(1, least))
    if days is None:
        log_upkeep.clear_retention(session, id_of(model))
    else:
        row = Retention(model_id=id_of(model), days=days, set_at=now, set_by=actor.name)
        log_upkeep.set_retention(session, row)
    audit.record(
        session,
        action="log.retention",
        subject=f"model:{model.name}",
        actor=actor,
        body={"days": days},
        now=now,
    )


def expire(room: ChoreRoom) -> str:
    """Let go what is older than its model's days; say how much it was."""
    with room.database.reading() as session:
        now = business_now(session, room.now)
        asked = [(row.model_id, row.days) for row in log_upkeep.list_retentions(session)]
    segments = rows = 0
    for model_id, days in asked:
        before = now - timedelta(days=days)
        _forget_rows(room.database, model_id, before)
        while not room.halt.is_set():
            went = _expire_some(room, model_id, before, now)
            segments, rows = segments + went[0], rows + went[1]
            if went == (0, 0, 0):
                break
    return f"{segments} segments with {rows} rows went"


def _forget_rows(database: Database, model_id: int, before: datetime) -> None:
    """Take the single rows out of what was found in windows that are older."""
    with database.writing() as session:
        lock_model(session, model_id)
        row_traces.forget_before(session, model_id, before)


def _expire_some(
    room: ChoreRoom, model_id: int, before: datetime, now: datetime
) -> tuple[int, int, int]:
    """Let some segments and batch ids go in one transaction; return segments, rows, ids."""
    with room.database.reading() as session:
        held = log_upkeep.list_expired_held(session, model_id, before, TURN_HELD)
    rows = {digest: count_stored_rows(room.store, digest) for digest in held}
    with room.database.writing() as session:
        lock_model(session, model_id)
        losses = log_upkeep.list_expired(session, model_id, before, TURN_SEGMENTS)
        still = log_upkeep.list_expired_held(session, model_id, before, TURN_HELD)
        losses += [Loss(digest, rows[digest]) for digest in still if digest in rows]
        log_upkeep.lose(session, model_id, losses, cause=EXPIRED, now=now)
        ids = log_upkeep.forget_batches(session, model_id, before, TURN_BATCHES)
    return len(losses), sum(loss.rows for loss in losses), ids


EXPIRE = Chore("expire-log", timedelta(hours=1), expire)
