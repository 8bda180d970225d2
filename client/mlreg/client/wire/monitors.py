"""Readings on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlreg.client.wire.base import Answer


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
