"""Sending one event to one webhook, in the words and by the way of its kind.

What always holds: it is tried once, within a bounded time; nothing is written down here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.notice_targets import SCHEME, NoticeTargets
from mlreg.registry.domain.targets import parse_target
from mlreg.registry.domain.webhooks import Letter, signed_headers, write_letter
from mlreg.registry.services import notifying
from mlreg.registry.services.posting import Postman
from mlreg.registry.services.webhooks import subscription_of

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.events import Event
    from mlreg.registry.domain.webhooks import Subscription
    from mlreg.registry.store.tables import Webhook

_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt: the status of the answer, if there was one; an error, or None."""

    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Sends events, under the operator's rules."""

    postman: Postman
    targets: NoticeTargets = field(default_factory=NoticeTargets)

    def subscription_of(self, webhook: Webhook) -> Subscription:
        """Return what a webhook wants to be told of; how loud that has to be, its target says."""
        subscription = subscription_of(webhook)
        name = webhook.url.removeprefix(SCHEME)
        target = self.targets.by_name.get(name) if name != webhook.url else None
        if target is None:
            return subscription
        return replace(subscription, min_severity=target.min_severity)

    def send(self, webhook: Webhook, event: Event, now: datetime) -> Answer:
        """Send an event once."""
        letter = write_letter(subscription_of(webhook).kind, event, webhook.secret)
        try:
            if webhook.url.startswith(SCHEME):
                notifying.notify(self.targets, webhook.url, letter.body)
                return Answer(None, None)
            status = self._post(webhook, event, letter, now)
        except RegistryError as failure:
            return Answer(None, str(failure))
        return Answer(status, None if status in _SUCCESS else f"it answered {status}")

    def _post(self, webhook: Webhook, event: Event, letter: Letter, now: datetime) -> int:
        headers = {"Content-Type": letter.content_type}
        if webhook.kind != "pagerduty":
            headers |= signed_headers(webhook.secret, event.key, letter.body, now)
        return self.postman.post(parse_target(webhook.url), letter.body, headers)
