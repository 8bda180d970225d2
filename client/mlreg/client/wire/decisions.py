"""Evaluations and decisions on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from mlreg.client.wire.base import Answer, Name
from mlreg.client.wire.runs import OPEN_STATES, WindowsRequest


class EvaluateRequest(WindowsRequest):
    """A version to be judged; what is not said is as the policy says."""

    environment: Name = "production"


class EvaluationAnswer(Answer):
    """An evaluation that was asked for; `decision` once it has succeeded."""

    number: int
    state: str
    error: str | None = None
    decision: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES


class DecisionAnswer(Answer):
    """The verdict on a challenger; `evidence` is empty in lists."""

    number: int
    model: str
    environment: str
    challenger: int
    champion: int | None
    anchor: int | None
    verdict: str
    superior: bool
    reason: str
    snapshot: str | None
    run: int | None
    created_at: datetime
    created_by: str
    evidence: dict[str, Any] = Field(default_factory=dict)
