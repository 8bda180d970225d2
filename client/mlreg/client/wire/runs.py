"""Runs on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mlreg.client.wire.base import Answer, Name, ReasonText, Request
from mlreg.client.wire.costs import CostAnswer
from mlreg.client.wire.versions import GitForm

Lane = Literal["full", "continue", "refit"]
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]
DurationText = Annotated[str, StringConstraints(max_length=20)]
Parameter = bool | int | float | str | list[bool | int | float | str]

OPEN_STATES = frozenset({"queued", "running"})


class WindowsRequest(Request):
    """Which rows to take, where the policy's windows do not fit; durations as `90d`, `6h`."""

    evaluate_window: DurationText | None = None
    label_delay: DurationText | None = None


class RetrainRequest(WindowsRequest):
    """A retrain by hand; what is not said is as the policy says.

    `start_from` is the version that a stateful lane begins with, instead of the champion.
    """

    environment: Name = "production"
    lane: Lane | None = None
    start_from: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    train_window: DurationText | None = None
    rounds: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    params: Annotated[dict[str, Parameter], Field(max_length=200)] = Field(default_factory=dict)
    reason: ReasonText = ""
    git: GitForm | None = None


class CancelRequest(Request):
    """Why a run is cancelled."""

    reason: ReasonText = ""


class RunAnswer(Answer):
    """A run; `verdict` is that of its decision, `waits_for` why no worker takes it."""

    number: int
    model: str
    environment: str
    state: RunState
    lane: str
    trainer: str
    cause: str
    because: str | None = None
    attempt: int
    firing: int | None = None
    policy: int | None = None
    parent: int | None = None
    snapshot: str | None = None
    evaluate_snapshot: str | None = None
    version: int | None = None
    decision: int | None = None
    verdict: str | None = None
    waits_for: str | None = None
    train_seconds: float | None = None
    costs: list[CostAnswer] = Field(default_factory=list)
    error: str | None = None
    requested_by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    specification: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES


class LineAnswer(Answer):
    """One line of a run's log; `number` only grows."""

    number: int
    attempt: int
    at: datetime
    line: str
