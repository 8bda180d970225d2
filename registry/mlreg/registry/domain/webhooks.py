"""Webhooks: who is told of what, in which words, under which signature, and how often.

What always holds: an event is rendered alike each time it is sent; a signature covers id, moment
and body (Standard Webhooks), so that a receiver can refuse forged, changed and replayed ones; what
comes from users is text in every body, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlreg.registry.domain.events import LOUDEST_FIRST, SILENT, TEST, Event, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HookKind = Literal["cloudevents", "slack", "pagerduty", "apprise"]
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of a secret
SECRET_BYTES = 32
FIRST_PAUSE = timedelta(seconds=5)
LAST_PAUSE = timedelta(hours=1)
MAX_AGE = timedelta(hours=24)
MAX_SUMMARY = 1_024
GONE = 410
ANY = "*"
_EVENTS = "application/cloudevents+json; charset=utf-8"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one webhook wants to be told of.

    Attributes:
        topics: `*` is every one.
        models: only events of these; None is every event, those of no model too.
        min_severity: only events as loud as this, or louder.
    """

    name: str
    kind: HookKind
    topics: frozenset[str]
    models: frozenset[str] | None
    min_severity: Severity = "info"

    def wants(self, event: Event) -> bool:
        """Say whether it wants to be told of an event."""
        if event.topic == TEST:
            return event.body.get("webhook") == self.name
        if event.topic == SILENT or not self._is_for_its_kind(event):
            return False
        of_model = self.models is None or event.model in self.models
        return of_model and self._asked_for(event)

    def wants_at_once(self, event: Event) -> bool:
        """Say whether it wants what cannot wait for its place in the order: a silent controller."""
        return self.models is None and self._is_for_its_kind(event) and self._asked_for(event)

    def _asked_for(self, event: Event) -> bool:
        least = LOUDEST_FIRST.index(self.min_severity)
        is_loud = LOUDEST_FIRST.index(event.severity) <= least
        return is_loud and (ANY in self.topics or event.topic in self.topics)

    def _is_for_its_kind(self, event: Event) -> bool:
        """Say whether pagers page of it, and people are to be told of it."""
        if self.kind == "pagerduty":
            said = event.is_quiet or event.body.get("severity") == "info"
            return event.kind.paging != "no" and not (event.kind.paging == "trigger" and said)
        return self.kind == "cloudevents" or not event.is_quiet


@dataclass(frozen=True, slots=True)
class Letter:
    """An event as it is sent."""

    content_type: str
    body: bytes


def new_secret() -> str:
    """Return a new secret to sign with."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(secret: str, key: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks, version 1, for a body sent at a moment."""
    moment = str(int(at.timestamp()))
    content = f"{key}.{moment}.".encode() + body
    signer = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = base64.b64encode(hmac.digest(signer, content, hashlib.sha256)).decode()
    return {
        "webhook-id": key,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{signature}",
    }


def write_letter(kind: HookKind, event: Event, secret: str) -> Letter:
    """Put an event into the words of one kind of webhook."""
    body = _WRITERS[kind](event, secret)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Letter(_EVENTS if kind == "cloudevents" else _JSON, text.encode())


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts."""
    return min(FIRST_PAUSE * 2.0 ** (attempts - 1), LAST_PAUSE)


def is_given_up(attempts: int) -> bool:
    """Say whether an event has failed so often that a day went by."""
    return attempts >= ATTEMPTS


def _attempts_within(age: timedelta) -> int:
    attempts, waited = 0, timedelta(0)
    while waited < age:
        attempts += 1
        waited += pause_after(attempts)
    return attempts


ATTEMPTS = _attempts_within(MAX_AGE)


def _cloudevent(event: Event, secret: str) -> dict[str, Any]:
    """CloudEvents 1.0, structured mode."""
    del secret
    subject = event.model and f"model:{event.model}"
    return {
        "specversion": "1.0",
        "id": event.key,
        "source": f"/{event.source}",
        "type": f"dev.mlreg.{event.topic}",
        **({"subject": subject} if subject else {}),
        "time": event.at.isoformat(),
        "datacontenttype": _JSON,
        "sequence": f"{event.seq:020}",
        "data": dict(event.body),
    }


def _slack(event: Event, secret: str) -> dict[str, Any]:
    """An incoming webhook of Slack, and of what is compatible with it."""
    del secret
    line = event.line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": f"[{event.topic}] {line}"}


def _page(event: Event, secret: str) -> dict[str, Any]:
    """PagerDuty Events API v2; the secret is the integration's routing key."""
    page: dict[str, Any] = {
        "routing_key": secret,
        "event_action": event.kind.paging,
        "dedup_key": event.problem[:255],
    }
    if event.kind.paging == "trigger":
        page["payload"] = {
            "summary": event.line[:MAX_SUMMARY],
            "source": event.source,
            "severity": event.severity,
            "timestamp": event.at.isoformat(),
            "component": event.model or "mlreg",
            "class": event.topic,
            "custom_details": dict(event.body),
        }
    return page


def _apprise(event: Event, secret: str) -> dict[str, Any]:
    """What `notifying` hands to Apprise, which knows a hundred services."""
    del secret
    loudness = {"critical": "failure", "error": "failure", "warning": "warning", "info": "info"}
    is_over = event.kind.paging == "resolve"
    return {
        "title": f"mlreg: {event.topic}",
        "body": event.line,
        "type": "success" if is_over else loudness[event.severity],
    }


_WRITERS: Mapping[HookKind, Callable[[Event, str], dict[str, Any]]] = {
    "cloudevents": _cloudevent,
    "slack": _slack,
    "pagerduty": _page,
    "apprise": _apprise,
}


def unknown_topics(topics: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the topics that there are none of."""
    return sorted(set(topics) - {*known, ANY})
