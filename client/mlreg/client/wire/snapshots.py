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


class SourceForm(Request):
    """A source, and which of its columns stands for what; keys as in a policy's `data`."""

    source: str = Field(min_length=1, max_length=20_000)
    connection: str | None = None
    time: str | None = None
    label: str | None = None
    entity: str | None = None
    weight: str | None = None
    prediction_id: str | None = None
    timezone: str | None = None
    features: dict[str, str] | None = None


class FreezeRequest(Request):
    """The rows of a source that are to be frozen.

    Attributes:
        data: the source; None is the one that the policy of `environment` names.
        exclude: times that are left out.
    """

    start: AwareDatetime
    end: AwareDatetime
    data: SourceForm | None = None
    environment: str = "production"
    exclude: list[IntervalForm] = Field(default_factory=list)


class FreezeAnswer(Answer):
    """A freeze that was asked for; `snapshot` is the digest of what it made."""

    number: int
    model: str
    state: str
    error: str | None = None
    snapshot: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in {"queued", "running"}


class SourceFileAnswer(Answer):
    """One file of a frozen source: of a query's result, one that the server keeps."""

    path: str
    size: int
    digest: str
    rows: int
    partitions: dict[str, str | None] = Field(default_factory=dict)


class SourceAnswer(Answer):
    """A source as it was frozen.

    Attributes:
        name: the text that names it.
        version: of a Delta table.
        columns: the column of the source by what it stands for.
        rows: of all its files, of which the snapshot selects some.
        files: empty in lists.
    """

    kind: str
    name: str
    connection: str
    version: int | None = None
    columns: dict[str, str]
    timezone: str | None = None
    file_count: int
    rows: int
    size: int
    files: list[SourceFileAnswer]


class SnapshotInterval(Answer):
    """A stretch of time that a snapshot leaves out."""

    start: datetime
    end: datetime


class SnapshotAnswer(Answer):
    """A frozen selection: its name, and all that is needed to read it again.

    Attributes:
        predictions, labels: segments of the log; empty where the rows are those of a source.
    """

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
    source: SourceAnswer | None = None
    created_at: datetime
    created_by: str
