"""Readings on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Name, Request


class MetricRequest(Request):
    """One value of a business metric.

    Attributes:
        time: what moment it is about.
        key: what makes it one value, so that it may be sent again; its time unless one is given.
    """

    name: Name
    time: AwareDatetime
    value: float
    environment: Name = "production"
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class MetricAnswer(Answer):
    """What became of a value; `duplicate` says that it was kept before."""

    monitor: str
    duplicate: bool


class ReadingAnswer(Answer):
    """One value of one monitor for one window.

    `state` is final, immature (labels are awaited; the value is corrected for their delay),
    estimate (made before labels), outage or empty. `low` and `high` are a 95 % confidence interval,
    `verdict` is normal, unusual, or null where nobody judged.
    """

    monitor: str
    subject: str
    start: datetime
    end: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int
    state: str
    verdict: str | None = None
    evidence: dict[str, Any] | None = None
