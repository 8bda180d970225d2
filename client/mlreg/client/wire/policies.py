"""Policies and firings on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from mlreg.client.wire.base import Answer, Request, Text
from mlreg.client.wire.versions import GitForm


class ApplyRequest(Request):
    """A policy file as it is written, and the commit of the working tree it came from."""

    text: Text
    git: GitForm | None = None


class FiringAnswer(Answer):
    """One recorded time that triggers held, and what came of it."""

    id: int
    fire_at: datetime
    triggers: list[str]
    outcome: str
    readings: list[dict[str, Any]]
    run: int | None = None


class PolicyAnswer(Answer):
    """The policy in force.

    `next_due` is when the controller looks at it next; in the past while something is waited for.
    `warnings` says what keeps its runs from ending well, as far as the server can tell.
    """

    model: str
    environment: str
    number: int
    enabled: bool
    source: str
    policy: dict[str, Any]
    git: dict[str, Any] | None = None
    applied_at: datetime
    applied_by: str
    next_due: datetime | None = None
    read_until: datetime | None = None
    next_lane: str | None = None
    warnings: list[str] = Field(default_factory=list)
