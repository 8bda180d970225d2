"""Queries of webhooks: which are due, how far each is, what became of what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import col, select

from mlreg.registry.store.tables import Webhook, WebhookDelivery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_IS_DUE = """enabled AND position < (SELECT seq FROM outbox_head)
        AND (not_before IS NULL OR not_before <= clock_timestamp())
        AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())"""
_DUE = text(f"""
    SELECT id FROM webhook WHERE {_IS_DUE} ORDER BY id
""")  # noqa: S608 - a constant
_WORK = text(f"""
    SELECT EXISTS (SELECT FROM outbox_message WHERE seq IS NULL)
        OR EXISTS (SELECT FROM webhook WHERE {_IS_DUE})
        OR EXISTS (
            SELECT FROM outbox_message WHERE sent_at IS NULL AND seq <= (
                SELECT coalesce(min(position), (SELECT seq FROM outbox_head))
                FROM webhook WHERE enabled
            )
        )
""")  # noqa: S608 - a constant
_CLAIM = text(f"""
    UPDATE webhook SET claim = :claim,
        claimed_until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = (SELECT id FROM webhook WHERE id = :id AND {_IS_DUE} FOR UPDATE SKIP LOCKED)
    RETURNING id
""")  # noqa: S608 - a constant
_HOLD = text("""
    UPDATE webhook SET claimed_until = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id = :id AND claim = :claim AND enabled RETURNING id
""")
_RELEASE = text("""
    UPDATE webhook SET claim = NULL, claimed_until = NULL WHERE id = :id AND claim = :claim
""")
_MOVE = text("""
    UPDATE webhook SET position = :seq, attempts = :attempts, not_before = NULL,
        last_at = clock_timestamp(), last_outcome = :outcome
    WHERE id = :id AND position < :seq RETURNING id
""")
_PASS = text("UPDATE webhook SET position = :seq WHERE id = :id AND position < :seq")
_FAIL = text("""
    UPDATE webhook SET attempts = :attempts, enabled = enabled AND :enabled,
        not_before = clock_timestamp() + make_interval(secs => :pause),
        last_at = clock_timestamp(), last_outcome = :outcome
    WHERE id = :id AND claim = :claim
""")
_NOTE = text("""
    INSERT INTO webhook_delivery (webhook_id, seq, topic, state, attempts, status, error, at)
    VALUES (:id, :seq, :topic, :state, :attempts, :status, :error, clock_timestamp())
""")
_PRUNE = text("""
    DELETE FROM webhook_delivery WHERE id IN (
        SELECT id FROM webhook_delivery WHERE at < :before ORDER BY at LIMIT :limit
    )
""")


def find_by_name(session: ReadSession, name: str) -> Webhook | None:
    """Return a webhook by its name."""
    return session.exec(select(Webhook).where(Webhook.name == name)).one_or_none()


def lock_by_name(session: WriteSession, name: str) -> Webhook | None:
    """Return a webhook by its name, locked until the transaction ends."""
    return session.exec(select(Webhook).where(Webhook.name == name).with_for_update()).one_or_none()


def list_all(session: ReadSession) -> Sequence[Webhook]:
    """Return every webhook, by name."""
    return session.exec(select(Webhook).order_by(Webhook.name)).all()


def has_work(session: ReadSession) -> bool:
    """Say whether there is anything to order, to send, or to settle."""
    return bool(session.execute(_WORK).scalar_one())


def list_due(session: ReadSession) -> list[int]:
    """Return the webhooks that have something before them, wait for no pause, and are nobody's."""
    return list(session.execute(_DUE).scalars())


def claim(session: WriteSession, webhook_id: int, claim: str, seconds: float) -> bool:
    """Keep others from sending to a webhook for so long; False when it is not due, or theirs."""
    values = {"id": webhook_id, "claim": claim, "seconds": seconds}
    return session.execute(_CLAIM, values).first() is not None


def hold(session: WriteSession, webhook_id: int, claim: str, seconds: float) -> Webhook | None:
    """Return a claimed webhook, claimed for so long again; None when it is out, or others' now."""
    values = {"id": webhook_id, "claim": claim, "seconds": seconds}
    if session.execute(_HOLD, values).first() is None:
        return None
    return session.get(Webhook, webhook_id)


def release(session: WriteSession, webhook_id: int, claim: str) -> None:
    """Leave a webhook to others, if it is claimed by this claim still."""
    session.execute(_RELEASE, {"id": webhook_id, "claim": claim})


def list_deliveries(
    session: ReadSession, webhook_id: int, before: int | None, limit: int
) -> Sequence[WebhookDelivery]:
    """Return what became of events, newest first, below an id where one is given."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if before is not None:
        query = query.where(col(WebhookDelivery.id) < before)
    return session.exec(query.order_by(col(WebhookDelivery.id).desc()).limit(limit)).all()


def settle(session: WriteSession, delivery: WebhookDelivery, *, attempts: int) -> None:
    """Move a webhook past an event, and write down what became of it there.

    Args:
        session: the transaction that makes both true.
        delivery: what became of it.
        attempts: how many have failed in a row by now, of this event and of none after it.
    """
    outcome = delivery.error or f"{delivery.status or delivery.state}"
    values = {"id": delivery.webhook_id, "seq": delivery.seq}
    moved = session.execute(_MOVE, {**values, "attempts": attempts, "outcome": outcome})
    if moved.first() is not None:
        session.execute(
            _NOTE,
            {
                **values,
                "topic": delivery.topic,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "status": delivery.status,
                "error": delivery.error,
            },
        )


def pass_by(session: WriteSession, webhook_id: int, seq: int) -> None:
    """Move a webhook past events that it does not want."""
    session.execute(_PASS, {"id": webhook_id, "seq": seq})


def note_failure(
    session: WriteSession,
    webhook: Webhook,
    outcome: str,
    *,
    attempts: int,
    pause_seconds: float,
    enabled: bool,
) -> None:
    """Write down that an attempt has failed, and when the next one is due.

    Nothing is written where somebody else has claimed the webhook since it was read.
    """
    values = {
        "id": webhook.id,
        "claim": webhook.claim,
        "outcome": outcome,
        "attempts": attempts,
    }
    session.execute(_FAIL, {**values, "pause": pause_seconds, "enabled": enabled})


def prune_deliveries(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete what became of events before a moment; return how many rows."""
    return int(session.execute(_PRUNE, {"before": before, "limit": limit}).rowcount)  # type: ignore[attr-defined]  # of a DELETE
