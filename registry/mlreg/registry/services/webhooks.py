"""Webhooks: made, shown, switched and deleted by whoever may, for the models that he may.

What always holds: a secret is given out once, when the webhook is made; a URL's path is never shown
again, for it may be a secret; a webhook that names models is seen only by who has all of them, one
that names none only by who has every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.domain.events import TEST, TOPICS
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.notice_targets import SCHEME
from mlreg.registry.domain.targets import parse_target
from mlreg.registry.domain.webhooks import (
    PAGERDUTY_URL,
    HookKind,
    Subscription,
    new_secret,
    unknown_topics,
)
from mlreg.registry.services import audit, catalog
from mlreg.registry.services.outbox import tell
from mlreg.registry.services.outgoing import NoAnswerError
from mlreg.registry.services.posting import PostSettings, check_target
from mlreg.registry.store import outbox
from mlreg.registry.store import webhooks as rows
from mlreg.registry.store.tables import Webhook, WebhookDelivery

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


class WebhookNotFoundError(NotFoundError):
    """There is no webhook of that name, for this caller."""

    code = "webhook_not_found"
    hint = "`mlreg webhook list` shows what there is."

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no webhook {name!r}")


class WebhookExistsError(RefusedError):
    """The name is taken."""

    code = "webhook_exists"

    def __init__(self, *, name: str) -> None:
        super().__init__(f"there is a webhook {name!r} already")


class UnknownTopicError(InvalidError):
    """A topic that there is not."""

    code = "unknown_topic"
    hint = "docs/reference/events.md lists the topics; `*` is every one."

    def __init__(self, *, topics: Sequence[str]) -> None:
        super().__init__(f"no topic {', '.join(map(repr, topics))}")


class WebhookScopeError(RefusedError):
    """The caller's models are fewer than the webhook's."""

    code = "webhook_scope"
    hint = "Name models with --model that your token is for."

    def __init__(self) -> None:
        super().__init__("a webhook cannot tell of models that its maker has nothing to do with")


class RoutingKeyError(InvalidError):
    """A routing key where there is none, or none where there is one."""

    code = "routing_key"

    def __init__(self) -> None:
        super().__init__("PagerDuty needs its integration's routing key, and nothing else has one")


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """What somebody wants to be told of, and where.

    Attributes:
        url: None is PagerDuty's own.
        models: None is every model.
        routing_key: of PagerDuty's integration.
    """

    name: str
    url: str | None
    kind: HookKind
    topics: Sequence[str]
    models: Sequence[str] | None = None
    routing_key: str | None = None

    @property
    def target_url(self) -> str:
        """The URL that is meant, or nothing."""
        return self.url or (PAGERDUTY_URL if self.kind == "pagerduty" else "")


def check_form(form: WebhookForm, posts: PostSettings) -> None:
    """Refuse a webhook that could never be called; asks the resolver, so no session is open.

    A name that is unknown now may be known tomorrow, and passes.

    Raises:
        InvalidTargetError: its URL is none.
        ForbiddenTargetError: what delivers would not call it.
    """
    target = parse_target(form.target_url)
    with suppress(NoAnswerError):
        check_target(target, posts.allow)


def create_webhook(
    session: WriteSession, form: WebhookForm, *, actor: Actor, now: datetime
) -> Webhook:
    """Make a webhook; it is told of what happens from now on. Its secret is in the answer.

    Raises:
        InvalidNameError, InvalidTargetError, UnknownTopicError, RoutingKeyError: as they say.
        ModelNotFoundError: it names a model that there is not, for this caller.
        WebhookScopeError: the caller may not be told of all that.
        WebhookExistsError: the name is taken.
    """
    checked_name(form.name)
    target = parse_target(form.target_url)
    unknown = unknown_topics(form.topics, TOPICS)
    if unknown or not form.topics:
        raise UnknownTopicError(topics=unknown)
    if (form.kind == "pagerduty") != bool(form.routing_key):
        raise RoutingKeyError
    for model in form.models or ():
        if not actor.may("read", model):
            raise catalog.ModelNotFoundError(model=model)
        catalog.get_model(session, model)
    if not _may_see(actor, form.models):
        raise WebhookScopeError
    if rows.find_by_name(session, form.name) is not None:
        raise WebhookExistsError(name=form.name)
    webhook = Webhook(
        name=form.name,
        url=form.target_url,
        kind=form.kind,
        topics=sorted(set(form.topics)),
        models=None if form.models is None else sorted(set(form.models)),
        secret=form.routing_key or new_secret(),
        position=outbox.head(session),
        created_at=now,
        created_by=actor.name,
    )
    session.add(webhook)
    body = {"url": target.shown, "kind": form.kind, "topics": webhook.topics}
    _record(session, webhook, "webhook.created", {**body, "models": webhook.models}, actor, now)
    return webhook


def list_webhooks(session: ReadSession, *, actor: Actor) -> list[Webhook]:
    """Return the webhooks that the caller may see, by name."""
    return [one for one in rows.list_all(session) if _may_see(actor, one.models)]


def get_webhook(session: ReadSession, name: str, *, actor: Actor) -> Webhook:
    """Return a webhook.

    Raises:
        WebhookNotFoundError: there is none, or not for this caller.
    """
    return _seen(rows.find_by_name(session, name), name, actor)


def list_deliveries(
    session: ReadSession, name: str, *, actor: Actor, before: int | None = None, limit: int
) -> Sequence[WebhookDelivery]:
    """Return what became of events at a webhook, newest first.

    `before` is the id of the last one of the page before.

    Raises:
        WebhookNotFoundError: there is none, or not for this caller.
    """
    webhook = get_webhook(session, name, actor=actor)
    return rows.list_deliveries(session, webhook.id or 0, before, limit)


def switch_webhook(
    session: WriteSession, name: str, *, enabled: bool, actor: Actor, now: datetime
) -> Webhook:
    """Have a webhook told no more, or told again: then of all that it has missed.

    Raises:
        WebhookNotFoundError: there is none, or not for this caller.
    """
    webhook = _seen(rows.lock_by_name(session, name), name, actor)
    webhook.enabled, webhook.attempts, webhook.not_before = enabled, 0, None
    session.add(webhook)
    action = "webhook.enabled" if enabled else "webhook.disabled"
    _record(session, webhook, action, {}, actor, now)
    return webhook


def delete_webhook(session: WriteSession, name: str, *, actor: Actor, now: datetime) -> None:
    """Delete a webhook and what became of its events.

    Raises:
        WebhookNotFoundError: there is none, or not for this caller.
    """
    webhook = _seen(rows.lock_by_name(session, name), name, actor)
    session.delete(webhook)
    _record(session, webhook, "webhook.deleted", {}, actor, now)


def send_test(session: WriteSession, name: str, *, actor: Actor, now: datetime) -> None:
    """Leave an event for one webhook alone; it goes the way of all the others, once.

    Raises:
        WebhookNotFoundError: there is none, or not for this caller.
    """
    webhook = get_webhook(session, name, actor=actor)
    tell(session, TEST, {"model": None, "webhook": name, "actor": actor.name}, now=now)
    _record(session, webhook, "webhook.tested", {}, actor, now)


def shown_url(webhook: Webhook) -> str:
    """Return a webhook's URL without its path, which may be a secret; a target's by its name."""
    if webhook.url.startswith(SCHEME):
        return webhook.url
    return parse_target(webhook.url).shown


def subscription_of(webhook: Webhook) -> Subscription:
    """Return what a webhook wants to be told of."""
    models = None if webhook.models is None else frozenset(webhook.models)
    kind: HookKind = webhook.kind  # type: ignore[assignment]  # the column holds nothing else
    return Subscription(webhook.name, kind, frozenset(webhook.topics), models)


def _seen(webhook: Webhook | None, name: str, actor: Actor) -> Webhook:
    if webhook is None or not _may_see(actor, webhook.models):
        raise WebhookNotFoundError(name=name)
    return webhook


def _may_see(actor: Actor, models: Sequence[str] | None) -> bool:
    own = actor.models_for("webhook.write")
    return own is None or (models is not None and own >= set(models))


def _record(
    session: WriteSession,
    webhook: Webhook,
    action: str,
    body: dict[str, object],
    actor: Actor,
    now: datetime,
) -> None:
    subject = f"webhook:{webhook.name}"
    audit.record(session, action=action, subject=subject, actor=actor, body=body, now=now)
