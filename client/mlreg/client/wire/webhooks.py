"""Webhooks and events over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mlreg.client.wire.base import Answer, Name, Request

HookKind = Literal["cloudevents", "slack", "pagerduty"]
Url = Annotated[str, StringConstraints(max_length=2_000)]
TopicName = Annotated[str, StringConstraints(max_length=63)]


class WebhookRequest(Request):
    """Have somebody told; `models` None is every model, the topic `*` every topic."""

    name: Name
    url: Url | None = None
    kind: HookKind = "cloudevents"
    topics: list[TopicName] = Field(min_length=1, max_length=50)
    models: list[Name] | None = Field(default=None, min_length=1, max_length=1_000)
    routing_key: Annotated[str, StringConstraints(max_length=200)] | None = None


class WebhookAnswer(Answer):
    """A webhook without its secret; `url` ends at the host, for the path may be one.

    `behind` is how many events are before it, wanted or not; `attempts` how many have failed in a
    row.
    """

    name: str
    kind: str
    url: str
    topics: list[str]
    models: list[str] | None
    enabled: bool
    behind: int
    attempts: int
    not_before: datetime | None
    last_at: datetime | None
    last_outcome: str | None
    created_at: datetime
    created_by: str


class NewWebhookAnswer(WebhookAnswer):
    """A new webhook; `secret` is what its deliveries are signed with, shown this once."""

    secret: str | None


class DeliveryAnswer(Answer):
    """What became of one event at one webhook: `delivered`, or `dead` after its last attempt."""

    id: int
    seq: int
    topic: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    at: datetime


class EventAnswer(Answer):
    """One event in its place in the order of delivery; `id` is the same wherever it is sent."""

    seq: int
    id: str
    topic: str
    at: datetime
    line: str
    body: dict[str, Any]


class EventsAnswer(Answer):
    """Events after a place.

    `after` is where to read on; `newest` the last place there is; `lost` says that events between
    the place asked for and these are deleted, for they are kept for 30 days.
    """

    items: list[EventAnswer]
    after: int
    newest: int
    lost: bool = False
