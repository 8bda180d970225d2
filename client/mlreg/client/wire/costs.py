"""Budgets, costs and the queue on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from mlreg.client.wire.base import Answer, Request

By = Literal["model", "month", "policy", "decision"]
MAX_RUNS, MAX_SECONDS = 10_000_000, 1e12
Runs = Annotated[int, Field(ge=0, le=MAX_RUNS)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]


class BudgetRequest(Request):
    """The budget of all policies together; null: no bound."""

    runs_per_day: Runs | None = None
    runs_per_week: Runs | None = None
    train_seconds_per_day: Seconds | None = None
    train_seconds_per_week: Seconds | None = None


class BoundAnswer(Answer):
    """One bound: what is allowed (null: all), and what is used; seconds granted are in it."""

    bound: str
    allowed: float | None
    used: float


class BudgetAnswer(Answer):
    """The budget of all policies, and what is used of it now; `held`: runs that wait for it."""

    bounds: list[BoundAnswer]
    held: int = 0

    def allowed(self, bound: str) -> float | None:
        """Return what one bound allows; None: it does not exist."""
        return next((one.allowed for one in self.bounds if one.bound == bound), None)


class CostAnswer(Answer):
    """What some runs took and cost in one currency.

    Attributes:
        name: the model, the month (`2026-05`, UTC), the policy (`flights@production`, or `by
            hand`).
        seconds: of workers, from the claim of an attempt to its end.
        amount: null where no worker was told a price; `unpriced` attempts are not in it.
    """

    name: str
    currency: str | None = None
    runs: int
    seconds: float
    train_seconds: float
    amount: float | None = None
    unpriced: int = 0


class QueuedRunAnswer(Answer):
    """A run in the queue.

    Attributes:
        position: 1 is claimed next; null: it waits for something other than its turn.
        waits_for: `worker`, `lock` (another run of the model), `budget`, `label`, or `time` (its
            next attempt).
        because: the same in a sentence.
    """

    run: int
    model: str
    environment: str
    cause: str
    priority: int
    position: int | None
    waits_for: Literal["worker", "lock", "budget", "label", "time"]
    because: str
    asked_at: datetime
