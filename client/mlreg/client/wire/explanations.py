"""Explanations of a window on the wire: where it went wrong, by what, and in which rows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from mlreg.client.wire.base import Answer, Name, Request
from mlreg.client.wire.runs import OPEN_STATES

By = Literal["loss", "score"]
SliceKind = Literal["wrong", "hard", "worse", "moved"]
FeatureName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ExplainRequest(Request):
    """A window to be explained; without a start, the newest that was read.

    Attributes:
        days: how long it is; the length of the window that starts then, unless said.
        by: loss, or drift of the score; loss unless too few rows have a label.
        least: rows that a slice needs; a two-hundredth of the rows unless said, and at least 50.
        worst: how many single rows to name.
        show: features whose values are stored beside the named rows; none unless said.
    """

    environment: Name = "production"
    start: AwareDatetime | None = None
    days: int | None = Field(default=None, ge=1, le=92)
    by: By | None = None
    least: int | None = Field(default=None, ge=20, le=1_000_000)
    worst: int = Field(default=10, ge=0, le=100)
    show: list[FeatureName] = Field(default_factory=list, max_length=50)
    rows: int = Field(default=200_000, ge=100, le=500_000)
    seed: int = Field(default=0, ge=0, lt=2**31)


class Condition(Answer):
    """What a feature is in a slice: `carrier` `= EV`, `temp` `12.5 to 20`, `dewp` `missing`."""

    feature: str
    text: str


class ExplainedSlice(Answer):
    """Rows that are surely worse than the rest.

    Attributes:
        kind: wrong (loses more than its own scores promised), hard (loses more than the rest, as
            promised: its scores are unsure), worse (where scores promise nothing), or moved.
        share: of the rows that were searched.
        mean, rest: of the loss (or score) in the slice, and elsewhere (of a hard slice: outside of
            the wrong ones too).
        before, rest_before: of the score in the week before; null where the loss is explained.
        promised: the mean loss that the scores themselves lead to expect; null where they do not.
        excess: how much higher the loss is than elsewhere (of a wrong slice: the loss beyond the
            promise), or how much further the score has moved.
        low: of that, what is sure, however many slices were looked at.
        lift: what the mean of the window would be lower by without the slice.
    """

    kind: SliceKind
    conditions: list[Condition]
    rows: int
    share: float
    mean: float
    rest: float
    before: float | None = None
    rest_before: float | None = None
    promised: float | None = None
    excess: float
    low: float
    lift: float


class FeatureContribution(Answer):
    """The mean size of what a feature adds to the raw score, in two groups of rows."""

    feature: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """How much more it adds in the first group."""
        return self.first - self.second


class Contributions(Answer):
    """What features add to the scores of two groups of rows (TreeSHAP).

    Attributes:
        version: whose trees.
        groups: what the two are: wrong and right, or now and before.
        split: how wrong was told from right: by decision, or by the largest losses.
        rows: how many rows of each were taken.
        features: with the largest difference first.
    """

    version: int
    groups: tuple[str, str]
    split: str
    rows: tuple[int, int]
    features: list[FeatureContribution]


class WorstRow(Answer):
    """One row to look at; `features` has the values that were asked for."""

    prediction_id: str
    time: datetime
    version: int | None = None
    score: float | None = None
    label: float | None = None
    loss: float | None = None
    features: dict[str, str] = Field(default_factory=dict)


class Explanation(Answer):
    """What was found in a window.

    Attributes:
        by: what slices are ranked by.
        value: what that is: log_loss, absolute_error, score or confidence.
        rows, labelled: of the window, as they were taken.
        mean: of the value over the searched rows.
        promised: what the scores of these rows led to expect of it.
        before: of the value in the week before.
        least: rows that a slice needed.
        looked_at: slices that were looked at; every bound holds for all of them at once.
        confined: slices left out, for they lie in too few blocks of time.
        notes: what else one should know, in sentences.
        contributions: null where there are none; `notes` says why.
    """

    by: By
    value: str
    start: datetime
    end: datetime
    rows: int
    labelled: int
    mean: float | None = None
    promised: float | None = None
    before: float | None = None
    confidence: float
    least: int
    looked_at: int
    confined: int
    slices: list[ExplainedSlice]
    contributions: Contributions | None = None
    worst: list[WorstRow] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class ExplainAnswer(Answer):
    """An explanation that was asked for; `found` is null until it is there.

    `asked_at` is real time, also where the clock of the windows is virtual.
    """

    number: int
    model: str
    environment: str
    state: str
    error: str | None = None
    asked_at: datetime
    found: Explanation | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
