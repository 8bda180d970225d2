"""Delivering events to webhooks: at least once, in order for each of them, none lost.

What always holds: a webhook's position moves past an event only after the answer to it came (or it
was given up, which stands in `webhook_delivery`), so a kill at any point sends an event again and
never skips one. Whoever sends to a webhook has claimed it for longer than one sending takes, by the
database's clock, and claims it anew before each: of several processes one sends to it, and of one
that was killed the others take it over a minute later. A webhook that fails holds up itself and no
other. An event that fails for a day is dead; if the next one fails as well, the webhook is disabled
and keeps its place. A test is sent once, and holds up nothing: what became of it is the answer to
it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.registry.domain.events import TEST
from mlreg.registry.domain.webhooks import ATTEMPTS, GONE, pause_after
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.outbox import list_events, order_events
from mlreg.registry.store import outbox
from mlreg.registry.store import webhooks as rows
from mlreg.registry.store.database import Database
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.tables import Webhook, WebhookDelivery

if TYPE_CHECKING:
    from mlreg.registry.domain.events import Event

AT_ONCE = 4
ROUND_SECONDS = 15.0
CLAIM_SECONDS = 60.0
"""Longer than one sending: a slow look-up of the address, and 20 s at most to the end."""
DELIVERED, DEAD = "delivered", "dead"

log = logging.getLogger("mlreg.webhooks")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of delivery works with."""

    database: Database
    dispatcher: Dispatcher
    now: datetime
    halt: threading.Event


def deliver(work: Round) -> int:
    """Order what was committed, send what is due, note what is settled; return how many went."""
    order_events(work.database)
    with work.database.reading() as session:
        due = rows.list_due(session)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
        sent = sum(pool.map(lambda webhook_id: _deliver_to(work, webhook_id), due))
    with work.database.writing() as session:
        outbox.settle(session)
    return sent


def _deliver_to(work: Round, webhook_id: int) -> int:
    """Send what waits for one webhook, unless somebody else does."""
    claim = secrets.token_hex(16)
    with work.database.writing() as session:
        if not rows.claim(session, webhook_id, claim, CLAIM_SECONDS):
            return 0
    try:
        return _deliver_claimed(work, webhook_id, claim)
    finally:
        with work.database.writing() as session:
            rows.release(session, webhook_id, claim)


def _deliver_claimed(work: Round, webhook_id: int, claim: str) -> int:
    """Send what waits for one webhook until it fails, or the round's time is over."""
    sent, until = 0, time.monotonic() + ROUND_SECONDS
    while time.monotonic() < until and not work.halt.is_set():
        with work.database.writing() as session:
            webhook = rows.hold(session, webhook_id, claim, CLAIM_SECONDS)
            events = list_events(session, webhook.position) if webhook else []
        if webhook is None or not events:
            break
        event = _next_wanted(work, webhook, events)
        if event is None:
            continue
        if not _send(work, webhook, event):
            break
        sent += 1
    return sent


def _next_wanted(work: Round, webhook: Webhook, events: list[Event]) -> Event | None:
    """Return the first event that a webhook wants, and move it past those before that."""
    subscription = work.dispatcher.subscription_of(webhook)
    wanted = next((event for event in events if subscription.wants(event)), None)
    passed = events[-1].seq if wanted is None else wanted.seq - 1
    if passed > webhook.position:
        with work.database.writing() as session:
            rows.pass_by(session, webhook.id or 0, passed)
    return wanted


def _send(work: Round, webhook: Webhook, event: Event) -> bool:
    """Send one event; False when the webhook has to wait, or is out."""
    answer = work.dispatcher.send(webhook, event, work.now)
    failpoint("webhook.sent")
    if answer.error is not None:
        return _fail(work, webhook, event, (answer.status, answer.error))
    delivery = _delivery(webhook, event, DELIVERED, webhook.attempts + 1, answer.status)
    with work.database.writing() as session:
        rows.settle(session, delivery, attempts=0)
    return True


def _fail(work: Round, webhook: Webhook, event: Event, answer: tuple[int | None, str]) -> bool:
    """Write a failed attempt down; True when the event is given up and the next one may go."""
    attempts, (status, error) = webhook.attempts + 1, answer
    out = status == GONE or attempts > ATTEMPTS
    log.warning("webhook %s, event %d: %s", webhook.name, event.seq, error)
    with work.database.writing() as session:
        if event.topic == TEST:
            delivery = _delivery(webhook, event, DEAD, 1, status, error)
            rows.settle(session, delivery, attempts=webhook.attempts)
            return True
        if attempts == ATTEMPTS and not out:
            delivery = _delivery(webhook, event, DEAD, attempts, status, error)
            rows.settle(session, delivery, attempts=attempts)
            return True
        rows.note_failure(
            session,
            webhook,
            f"{error}; the webhook is disabled" if out else error,
            attempts=attempts,
            pause_seconds=pause_after(attempts).total_seconds(),
            enabled=not out,
        )
    return False


def _delivery(
    webhook: Webhook,
    event: Event,
    state: str,
    attempts: int,
    status: int | None,
    error: str | None = None,
) -> WebhookDelivery:
    return WebhookDelivery(
        webhook_id=webhook.id or 0,
        seq=event.seq,
        topic=event.topic,
        state=state,
        attempts=attempts,
        status=status,
        error=error,
    )
