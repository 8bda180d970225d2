"""Alerts on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from mlreg.client.wire.base import Answer, ReasonText, Request


class SnoozeRequest(Request):
    """How long nobody is to be told: until a moment, or for so many seconds from now."""

    until: datetime | None = None
    seconds: int | None = Field(default=None, ge=1, le=10 * 366 * 86_400)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.until is None) == (self.seconds is None):
            message = "say `until` or `seconds`"
            raise ValueError(message)
        return self


class CloseAlertRequest(Request):
    """Ending an alert by hand, and why."""

    line: ReasonText = "closed by hand"


class AlertEntryAnswer(Answer):
    """One thing that happened to an alert.

    `topic` is the event by which others were told; `readings` are the strongest of `count`.
    """

    at: datetime
    actor: str
    what: str
    line: str
    topic: str | None = None
    readings: list[dict[str, Any]] | None = None
    count: int = 0


class AlertAnswer(Answer):
    """An alert; `entries` is empty in lists. `culprits` begin with the strongest."""

    number: int
    model: str
    environment: str
    kind: str
    subject: str
    title: str
    severity: str
    state: str
    culprits: list[str]
    opened_at: datetime
    ended_at: datetime | None = None
    told_at: datetime | None = None
    snoozed_until: datetime | None = None
    incident: int | None = None
    entries: list[AlertEntryAnswer] = Field(default_factory=list)
