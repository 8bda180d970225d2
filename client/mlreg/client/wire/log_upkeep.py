"""What leaves the feedback log for good: retention and erasures."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from mlreg.client.redaction import redact_text
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
    reason: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(redact_text)]


class RemainderAnswer(Answer):
    """A place that has, or may have, rows of the entity still.

    Attributes:
        what: `version_file`: predictions beside a version, which go with it; `source`: files or
            tables of your own that snapshots refer to; `frozen_answer`: the frozen answer to a
            query, of this snapshot.
        rows: how many; null where that cannot be told.
    """

    what: str
    name: str
    rows: int | None


class ErasureReport(Answer):
    """What an erasure did beside the rows of the log.

    Attributes:
        segments: how many were written anew, or went.
        answers: how many files of frozen answers to queries went.
        snapshots: how many lost rows.
        evidence: how many readings, replays, checks and explanations named rows that went.
        joined: the later erasure of the same entity that did it, where one did.
    """

    segments: int
    answers: int
    snapshots: int
    evidence: int
    remaining: list[RemainderAnswer]
    joined: int | None = None


class ErasureAnswer(Answer):
    """How far an erasure is; its entity is named by a SHA-256 only.

    Attributes:
        state: queued, running, succeeded, failed, dead or cancelled.
        error: why its last attempt failed.
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
    state: str = "queued"
    error: str | None = None
    report: ErasureReport | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.ended_at is None and self.state in {"queued", "running"}
