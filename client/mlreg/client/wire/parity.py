"""Parity on the wire: logged predictions scored again, features held against an offline table."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Digest, Request
from mlreg.client.wire.runs import OPEN_STATES


class ParityRequest(Request):
    """What is to be replayed: a version (null: the champion), a window (null: yesterday, UTC).

    `offline` is the digest of an uploaded Parquet file of features by `prediction_id`; two numbers
    differ where they are further apart than `tolerance` times the larger of 1 and the offline one.
    """

    environment: str = "production"
    version: int | None = Field(default=None, ge=1, lt=2**31)
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    rows: int = Field(default=20_000, ge=1, le=50_000)
    tolerance: float = Field(default=1e-6, ge=0, le=1)
    offline: Digest | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)


class Scores(Answer):
    """How some scores are distributed; null where there are none."""

    mean: float | None
    p50: float | None
    p99: float | None


class FeatureSkew(Answer):
    """One feature online against offline: `share` of `rows` have another value.

    `rescored` of them were scored again with the offline value of this feature alone;
    `score_differs` is the share of those whose score differs by that, `score_shift` by how much.
    """

    feature: str
    rows: int
    differ: int
    share: float
    low: float
    high: float
    online_nulls: float
    offline_nulls: float
    mean_difference: float | None
    rescored: int
    score_differs: float | None
    score_shift: float | None


class Skew(Answer):
    """The features of predictions that an offline table has too, the most different first."""

    rows: int
    unmatched: int
    unknown: list[str]
    features: list[FeatureSkew]
    scores: Scores


class ParityFound(Answer):
    """What a replay found: `share` of `rows` have another score offline, 95 % `low` to `high`.

    A row of several classes differs where any of its scores does; `value` says of what `online` and
    `offline` are distributions: of the score, or of the `confidence`, the highest of several.
    `examples` are prediction ids of the rows that are furthest apart.
    """

    version: int
    start: datetime
    end: datetime
    rows: int
    differ: int = 0
    share: float | None = None
    low: float | None = None
    high: float | None = None
    largest: float | None = None
    tolerance: float | None = None
    seed: int | None = None
    value: Literal["score", "confidence"] = "score"
    online: Scores | None = None
    offline: Scores | None = None
    examples: list[str] = Field(default_factory=list)
    skew: Skew | None = None


class ParityAnswer(Answer):
    """A replay that was asked for; `found` is null until it has ended well."""

    number: int
    state: str
    error: str | None
    found: ParityFound | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_STATES
