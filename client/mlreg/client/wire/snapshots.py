"""Snapshots over the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Digest, Request


class IntervalForm(Request):
    """A stretch of time, `start ≤ time < end`."""

    start: AwareDatetime
    end: AwareDatetime


class SnapshotRequest(Request):
    """The selection to be frozen.

    Attributes:
        labels_until: labels that are known by then count; now, if it is not given.
        exclude: times that are left out.
    """

    start: AwareDatetime
    end: AwareDatetime
    labels_until: AwareDatetime | None = None
    exclude: list[IntervalForm] = Field(default_factory=list)
    feature_contract: Digest | None = None


class SnapshotInterval(Answer):
    """A stretch of time that a snapshot leaves out."""

    start: datetime
    end: datetime


class SnapshotAnswer(Answer):
    """A frozen selection: its name, and all that is needed to read it again."""

    digest: str
    model: str
    start: datetime
    end: datetime
    labels_until: datetime
    max_label_delay_seconds: int
    excluded: list[SnapshotInterval]
    predictions: list[str]
    labels: list[str]
    feature_contract: str | None = None
    created_at: datetime
    created_by: str
