"""Invariants on the wire: what is declared of a model's rows, and checks of a snapshot."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from mlreg.client.wire.base import Answer, Request, Text
from mlreg.client.wire.runs import OPEN_STATES


class InvariantsRequest(Request):
    """A file of invariants as it is written."""

    text: Text


class InvariantReading(Answer):
    """What was last read of an invariant in the log: the share of rows that break it.

    Of an invariant about all rows it is the statistic.
    """

    start: datetime
    end: datetime
    value: float | None
    rows: int
    state: str
    verdict: str | None


class InvariantAnswer(Answer):
    """One invariant; `at_most` is the share of rows that may break it, null where it has none.

    `alert` is how loud its alert is, null where the policy says.
    """

    name: str
    kind: str
    rule: str
    severity: str
    at_most: float | None
    alert: str | None = None
    latest: InvariantReading | None = None


class InvariantsAnswer(Answer):
    """What is declared of a model's rows under a number."""

    model: str
    number: int
    invariants: list[InvariantAnswer]
    source: str
    applied_at: datetime
    applied_by: str


class CheckRequest(Request):
    """A check of a snapshot of the model, by its digest."""

    snapshot: str = Field(min_length=1, max_length=100)


class CheckedInvariant(InvariantAnswer):
    """What a check found: of `checked` rows `broken` break it; `examples` are prediction ids.

    `holds` is null where there was too little to judge.
    """

    checked: int
    broken: int
    value: float | None
    holds: bool | None
    examples: list[str]


class CheckFound(Answer):
    """What a check found; `blocked` names what would keep a run from training on these rows."""

    snapshot: str
    number: int
    rows: int
    blocked: list[str]
    invariants: list[CheckedInvariant]


class CheckAnswer(Answer):
    """A check that was asked for; `found` is null until it has ended well."""

    number: int
    state: str
    error: str | None
    found: CheckFound | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
