"""Telling what cannot wait for the outbox: that what empties the outbox is silent.

What always holds: every enabled webhook and target that asked for it is tried once, eight of them
at the same time, as long as the caller goes on; nothing is written down but by the caller.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mlreg.registry.store import webhooks as rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mlreg.registry.domain.events import Event
    from mlreg.registry.services.dispatch import Dispatcher
    from mlreg.registry.store.database import Database
    from mlreg.registry.store.tables import Webhook

AT_ONCE = 8

log = logging.getLogger("mlreg.webhooks")


def announce(
    database: Database,
    dispatcher: Dispatcher,
    event: Event,
    now: datetime,
    goes_on: Callable[[], bool],
) -> bool:
    """Send an event at once; False when somebody should have had it and nobody has.

    `goes_on` is asked before each sending, by several threads: False leaves the rest to others.
    """
    with database.reading() as session:
        found = rows.list_all(session)
    wanted = [
        one for one in found if one.enabled and dispatcher.subscription_of(one).wants_at_once(event)
    ]
    if not wanted:
        return True

    def send(webhook: Webhook) -> bool:
        if not goes_on():
            return False
        answer = dispatcher.send(webhook, event, now)
        if answer.error is not None:
            log.warning("webhook %s, %s: %s", webhook.name, event.topic, answer.error)
        return answer.error is None

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="announce") as pool:
        return any(list(pool.map(send, wanted)))
