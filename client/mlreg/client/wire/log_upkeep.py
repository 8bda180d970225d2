"""What leaves the feedback log for good: retention and erasures."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Request


class RetentionRequest(Request):
    """How many days a model's logged rows are kept; null is for ever."""

    days: Annotated[int, Field(ge=1, le=36_500)] | None


class RetentionAnswer(Answer):
    """How long a model's logged rows are kept, and who said so when."""

    model: str
    days: int | None
    set_at: AwareDatetime | None = None
    set_by: str | None = None


class ErasureRequest(Request):
    """An entity whose rows go, by the value of its column `entity`, and why."""

    entity: Annotated[str, Field(min_length=1, max_length=1024)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class ErasureAnswer(Answer):
    """How far an erasure is; its entity is named by a SHA-256 only.

    Attributes:
        predictions, labels: how many rows of the log went; null until it is done.
    """

    number: int
    model: str
    entity_digest: str
    reason: str
    requested_by: str
    requested_at: AwareDatetime
    ended_at: AwareDatetime | None
    predictions: int | None
    labels: int | None

    @property
    def is_open(self) -> bool:
        """Whether its rows are still there."""
        return self.ended_at is None
