"""Answers already given, and events on their way to others."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
)
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    big_key,
    document,
    moment,
    optional_document,
    optional_moment,
    text,
)


class IdempotencyKey(SQLModel, table=True):
    """The answer already given to (actor, key), so that a retry repeats the answer, not the act."""

    __tablename__ = "idempotency_key"

    actor: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    status: int
    body: str = text()
    created_at: datetime = moment(index=True)


class OutboxMessage(SQLModel, table=True):
    """An event of a committed change, to be delivered at least once.

    Written with the change; `seq`, its place in the order of delivery, is given after the commit
    (`id` is counted up before it, and two changes may commit the other way round). `sent_at` is
    when every webhook that asked for it had it, or had spent its attempts.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index("ix_outbox_message_unordered", "id", postgresql_where=sql("seq IS NULL")),
    )

    id: int | None = big_key()
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))
    topic: str
    body: dict[str, Any] = document()
    created_at: datetime = moment()
    sent_at: datetime | None = optional_moment(index=True)


class OutboxHead(SQLModel, table=True):
    """The last place in the order of delivery that was given; its row lock makes it an order."""

    __tablename__ = "outbox_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Webhook(SQLModel, table=True):
    """Where somebody wants to be told; `position` is the last event that was settled there.

    `claim` names whoever sends to it until `claimed_until`, that no two do at once.
    `secret` is kept as it is, for deliveries are signed with it.
    """

    __tablename__ = "webhook"

    id: int | None = big_key()
    name: str = Field(unique=True, max_length=63)
    url: str
    kind: str
    topics: list[str] = document()
    models: list[str] | None = optional_document()
    secret: str
    enabled: bool = True
    position: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempts: int = 0
    not_before: datetime | None = optional_moment()
    last_at: datetime | None = optional_moment()
    last_outcome: str | None = None
    claim: str | None = None
    claimed_until: datetime | None = optional_moment()
    created_at: datetime = moment()
    created_by: str


class WebhookDelivery(SQLModel, table=True):
    """What became of one event at one webhook: `delivered`, or `dead` after its last attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (Index("ix_webhook_delivery_webhook_id", "webhook_id", "id"),)

    id: int | None = big_key()
    webhook_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False)
    )
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    topic: str
    state: str
    attempts: int
    status: int | None = None
    error: str | None = None
    at: datetime = moment(index=True)
