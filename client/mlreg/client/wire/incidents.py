"""Incidents on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from mlreg.client.wire.base import Answer, ReasonText, Request


class CloseRequest(Request):
    """Closing an incident, with the last line of its timeline."""

    line: ReasonText = "closed by hand"


class EntryAnswer(Answer):
    """One line of a timeline."""

    at: datetime
    actor: str
    line: str
    evidence: dict[str, Any] | None = None


class IncidentAnswer(Answer):
    """An incident; `entries` is empty in lists."""

    number: int
    model: str
    environment: str
    kind: str
    title: str
    state: str
    opened_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    entries: list[EntryAnswer] = Field(default_factory=list)


class ReportAnswer(Answer):
    """An incident as a Markdown page."""

    number: int
    markdown: str
