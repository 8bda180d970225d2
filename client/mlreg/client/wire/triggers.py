"""Triggers on the wire: calls of them, and what was found at a look at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from mlreg.client.wire.base import Answer, ReasonText, Request


class CallRequest(Request):
    """A call of a webhook trigger, or of the whole policy by hand; the payload is evidence."""

    payload: dict[str, Any] = Field(default_factory=dict)
    reason: ReasonText = ""


class CallAnswer(Answer):
    """A call that was taken in; the controller judges it at once. `serial` counts up."""

    model: str
    environment: str
    trigger: str
    serial: int
    at: datetime


class FoundTrigger(Answer):
    """What one trigger was found to be; `missing` is what would have to come for it to hold."""

    trigger: str
    holds: bool
    because: str
    missing: str = ""
    readings: list[dict[str, Any]] = Field(default_factory=list)


class WaitingAnswer(Answer):
    """A firing that waits for the rule that holds it back to end, and then has its run.

    `why` is the rule and `what` it waits for, in words; `until` is when that ends, null where
    nobody knows; `triggers` says when the first happened of what waits.
    """

    why: str
    what: str
    since: datetime
    until: datetime | None = None
    triggers: dict[str, datetime]


class WhyAnswer(Answer):
    """What was found at the newest look at a policy's triggers, or at an earlier one.

    `needed` of the triggers have to hold at once; `outcome` is what came of a firing, None where it
    was none; `held` are those that hold since an earlier look and wait for others, `waiting` is
    what waits for cooldown, a freeze and the like to end, both as of now.
    """

    model: str
    environment: str
    number: int
    moment: datetime
    needed: int
    triggers: list[FoundTrigger]
    outcome: str | None = None
    run: int | None = None
    held: dict[str, datetime] = Field(default_factory=dict)
    waiting: WaitingAnswer | None = None
    next_due: datetime | None = None
