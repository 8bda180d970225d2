"""Drift on the wire: one window, many windows, and tests on the rows themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Request
from mlreg.client.wire.runs import OPEN_STATES

Size = Literal["psi", "jensen_shannon", "wasserstein", "ks", "cramers_v"]
Width = Literal["hour", "day", "week"]
Question = Literal["exact", "joint"]


class FeatureDrift(Answer):
    """How far one feature (or the score) is from the champion's training rows.

    `verdict` is unusual if any size is, against this stream's windows at the same hour of the day
    and day of the week; null where too few came before. `unusual` names those sizes.
    """

    feature: str
    psi: float | None = None
    jensen_shannon: float | None = None
    wasserstein: float | None = None
    ks: float | None = None
    cramers_v: float | None = None
    null_share: float | None = None
    unseen_share: float | None = None
    rows: int = 0
    verdict: str | None = None
    unusual: list[str] = Field(default_factory=list)


class DriftAnswer(Answer):
    """One window that was read, feature by feature, the unusual and most drifted first."""

    model: str
    environment: str
    start: datetime | None
    end: datetime | None
    state: str
    features: list[FeatureDrift]


class FeatureSeries(Answer):
    """One size of one feature, window by window; null where it is not defined."""

    feature: str
    values: list[float | None]
    verdicts: list[str | None]


class DriftMatrix(Answer):
    """One effect size of many windows by features, and all sizes of their rows together."""

    model: str
    environment: str
    width: Width
    size: Size
    starts: list[datetime]
    rows: list[int]
    features: list[FeatureSeries]
    whole: list[FeatureDrift]


class CompareRequest(Request):
    """A comparison of rows: `exact` tests feature by feature, or all features `joint`."""

    question: Question = "exact"
    environment: str = "production"
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    features: list[str] | None = Field(default=None, max_length=500)
    rows: int = Field(default=20_000, ge=100, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**31)


class CompareAnswer(Answer):
    """A comparison of rows that was asked for, and what was found; `found` is null until then."""

    number: int
    state: str
    error: str | None
    found: dict[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
