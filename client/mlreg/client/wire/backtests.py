"""Backtests on the wire: how a model would have done under other policies."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Name, ReasonText, Request, Text
from mlreg.client.wire.runs import OPEN_STATES


class BacktestRequest(Request):
    """What is to be replayed.

    Attributes:
        grid: triggers, lanes and selections to combine, as YAML; the usual ones unless said.
        start, end: which rows; all that were logged unless said.
        seconds: after so many no further policy is begun.
    """

    environment: Name = "production"
    grid: Text | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    seconds: float = Field(default=600.0, ge=1, le=86_400)


class CancelBacktest(Request):
    """Why a backtest is ended."""

    reason: ReasonText = ""


class Estimate(Answer):
    """A number, and between what it lies with 95 % confidence; null where nobody can say."""

    estimate: float
    low: float | None = None
    high: float | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it is surely more than 0."""
        return self.low is not None and self.low > 0


class BacktestedPolicy(Answer):
    """What became of one policy.

    Attributes:
        triggers, lanes, selection: by their names in the grid.
        anchor: it is there whatever the grid says: `never`, `every window`.
        pareto: no other policy is as good and as cheap, and better in one.
        value: the metric of whichever model was live, over the whole time.
        gain: over never retraining; positive is better, whatever the metric.
        behind: how much worse than the best policy.
        held: firings that came to nothing, by the rule that held them back.
        train_seconds: of the processor, as if nothing had been shared with other policies.
        error: why its first failed training failed.
    """

    name: str
    triggers: str
    lanes: str
    selection: str
    anchor: bool
    pareto: bool
    value: Estimate
    gain: Estimate
    behind: Estimate
    trainings: int
    by_lane: dict[str, int]
    verdicts: dict[str, int]
    held: dict[str, int]
    train_seconds: float
    cost: float
    error: str = ""


class AgedModel(Answer):
    """What a model loses by being so many weeks old, against one less than a week old.

    Attributes:
        fresh: the mean loss per row of models less than a week old, on the same rows.
        compared: in how many weeks.
    """

    weeks: int
    fresh: float
    lost: Estimate
    compared: int


class Blocks(Answer):
    """The blocks of time that intervals rest on."""

    count: int
    days: int


class Backtested(Answer):
    """What a backtest found.

    Attributes:
        rows: labelled ones that every policy was measured on.
        left_out: policies that were not begun in time.
        answer: how often to retrain, in sentences.
        trained: how many models were trained, of the `asked` that policies wanted.
    """

    metric: str
    start: datetime
    end: datetime
    windows: int
    rows: int
    blocks: Blocks
    gates: bool
    policies: list[BacktestedPolicy]
    left_out: list[str]
    freshness: list[AgedModel]
    answer: list[str]
    trained: int
    asked: int
    seconds: float

    @property
    def front(self) -> list[BacktestedPolicy]:
        """The policies of the frontier, the cheapest first; of equally good ones only that one."""
        found: dict[float, BacktestedPolicy] = {}
        for one in sorted(self.policies, key=lambda one: one.train_seconds):
            if one.pareto:
                found.setdefault(round(one.value.estimate, 4), one)
        return list(found.values())


class BacktestAnswer(Answer):
    """A backtest that was asked for; `found` is there once it has succeeded.

    Attributes:
        progress: how far it is, in a line.
        share: of the policies, how many were replayed, from 0 to 1.
    """

    number: int
    model: str
    environment: str
    state: str
    error: str | None = None
    asked_at: datetime
    progress: str = ""
    share: float = 0.0
    found: Backtested | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
