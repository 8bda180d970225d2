"""Webhooks, and events for whoever would rather ask than be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import Call, Transport, path
from mlreg.client.wire.base import Page
from mlreg.client.wire.webhooks import (
    DeliveryAnswer,
    EventsAnswer,
    HookKind,
    NewWebhookAnswer,
    WebhookAnswer,
    WebhookRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = "webhooks"


class Webhooks:
    """Who is told of what."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        topics: Sequence[str],
        url: str | None = None,
        kind: HookKind = "cloudevents",
        models: Sequence[str] | None = None,
        routing_key: str | None = None,
    ) -> NewWebhookAnswer:
        """Make a webhook; its secret is in the answer, this once."""
        body = WebhookRequest(
            name=name,
            url=url,
            kind=kind,
            topics=list(topics),
            models=None if models is None else list(models),
            routing_key=routing_key,
        )
        return self._transport.post(path(PLACE), body, NewWebhookAnswer)

    def list(self) -> list[WebhookAnswer]:
        """Return the webhooks that you may see, by name."""
        return self._transport.get(path(PLACE), Page[WebhookAnswer]).items

    def get(self, name: str) -> WebhookAnswer:
        """Return a webhook."""
        return self._transport.get(path(PLACE, name), WebhookAnswer)

    def deliveries(
        self, name: str, *, before: str | None = None, limit: int = 50
    ) -> Page[DeliveryAnswer]:
        """Return a page of what became of events at a webhook, newest first."""
        place = path(PLACE, name, "deliveries")
        return self._transport.get(place, Page[DeliveryAnswer], before=before, limit=limit)

    def test(self, name: str) -> None:
        """Have an event sent to a webhook; `deliveries` shows what became of it."""
        self._transport.send(Call("POST", path(PLACE, name, "test"), content=b"{}"))

    def enable(self, name: str) -> WebhookAnswer:
        """Have a webhook told again, and of all that it has missed."""
        return self._transport.post(path(PLACE, name, "enable"), None, WebhookAnswer)

    def disable(self, name: str) -> WebhookAnswer:
        """Have a webhook told no more; it keeps its place."""
        return self._transport.post(path(PLACE, name, "disable"), None, WebhookAnswer)

    def delete(self, name: str) -> None:
        """Delete a webhook."""
        self._transport.send(Call("DELETE", path(PLACE, name)))


class Events:
    """What happened, in the order in which everybody is told of it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def after(self, place: int = 0, *, limit: int = 100) -> EventsAnswer:
        """Return the events after a place; read on after the answer's `after`."""
        return self._transport.get(path("events"), EventsAnswer, after=place, limit=limit)
