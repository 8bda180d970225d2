"""Routes of webhooks: make, list, show, test, switch, delete, and what became of events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.webhooks import (
    DeliveryAnswer,
    NewWebhookAnswer,
    WebhookAnswer,
    WebhookRequest,
)
from mlreg.registry.api.context import Caller, Now, Parts, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may
from mlreg.registry.services import webhooks
from mlreg.registry.services.webhooks import WebhookForm
from mlreg.registry.store import outbox
from mlreg.registry.store.tables import Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[may("webhook.write")])


@router.post("", status_code=201, response_model=NewWebhookAnswer)
def create_webhook(
    body: WebhookRequest, parts: Parts, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Make a webhook; the secret in the answer is shown this once."""
    form = WebhookForm(**body.model_dump())
    webhooks.check_form(form, parts.posts)

    def act() -> NewWebhookAnswer:
        webhook = webhooks.create_webhook(session, form, actor=caller, now=now)
        secret = None if webhook.kind == "pagerduty" else webhook.secret
        return NewWebhookAnswer(**_fields(webhook, webhook.position), secret=secret)

    with parts.database.writing() as session:
        return once.run(session, now, act, status=201)


@router.get("")
def list_webhooks(reading: Reading, caller: Caller) -> Page[WebhookAnswer]:
    """List the webhooks that the caller may see."""
    with reading() as session:
        newest = outbox.head(session)
        found = webhooks.list_webhooks(session, actor=caller)
    return Page(items=[WebhookAnswer(**_fields(one, newest)) for one in found])


@router.get("/{name}")
def get_webhook(name: str, reading: Reading, caller: Caller) -> WebhookAnswer:
    """Show a webhook."""
    with reading() as session:
        webhook = webhooks.get_webhook(session, name, actor=caller)
        return WebhookAnswer(**_fields(webhook, outbox.head(session)))


@router.get("/{name}/deliveries")
def list_deliveries(
    name: str,
    reading: Reading,
    caller: Caller,
    before: Before = None,
    limit: Limit = 50,
) -> Page[DeliveryAnswer]:
    """List what became of events at a webhook, newest first."""
    with reading() as session:
        found = webhooks.list_deliveries(
            session, name, actor=caller, before=before, limit=limit + 1
        )
    answers = [DeliveryAnswer.model_validate(one, from_attributes=True) for one in found]
    return numbered_page(answers, limit, lambda one: one.id)


@router.post("/{name}/test", status_code=202)
def send_test(name: str, writing: Writing, caller: Caller, now: Now) -> Response:
    """Leave an event for this webhook alone."""
    with writing() as session:
        webhooks.send_test(session, name, actor=caller, now=now)
    return Response(status_code=202)


@router.post("/{name}/enable")
def enable_webhook(name: str, writing: Writing, caller: Caller, now: Now) -> WebhookAnswer:
    """Have a webhook told again, and of all that it has missed."""
    return _switch(name, writing, caller, now, enabled=True)


@router.post("/{name}/disable")
def disable_webhook(name: str, writing: Writing, caller: Caller, now: Now) -> WebhookAnswer:
    """Have a webhook told no more; it keeps its place."""
    return _switch(name, writing, caller, now, enabled=False)


@router.delete("/{name}", status_code=204)
def delete_webhook(name: str, writing: Writing, caller: Caller, now: Now) -> Response:
    """Delete a webhook."""
    with writing() as session:
        webhooks.delete_webhook(session, name, actor=caller, now=now)
    return Response(status_code=204)


def _switch(
    name: str, writing: Writing, caller: Caller, now: Now, *, enabled: bool
) -> WebhookAnswer:
    with writing() as session:
        webhook = webhooks.switch_webhook(session, name, enabled=enabled, actor=caller, now=now)
        return WebhookAnswer(**_fields(webhook, outbox.head(session)))


def _fields(webhook: Webhook, newest: int) -> dict[str, Any]:
    shown = webhook.model_dump(include=set(WebhookAnswer.model_fields))
    behind = newest - webhook.position
    return {**shown, "url": webhooks.shown_url(webhook), "behind": behind}
