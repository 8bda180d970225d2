"""What differs between two versions, over the wire."""

from __future__ import annotations

from pydantic import JsonValue

from mlreg.client.wire.base import Answer


class ChangeAnswer(Answer):
    """One thing that differs; null is that it is not there."""

    name: str
    before: JsonValue
    after: JsonValue


class MetricChangeAnswer(Answer):
    """A metric that differs; `delta` is after minus before, null where either lacks."""

    name: str
    before: float | None
    after: float | None
    delta: float | None


class FeatureDiffAnswer(Answer):
    """What differs between two feature contracts; `reordered` says that common columns moved."""

    added: list[str]
    removed: list[str]
    changed: list[ChangeAnswer]
    reordered: bool


class CodeRangeAnswer(Answer):
    """The commits between two versions; `url` compares them on GitHub or GitLab."""

    before: str | None
    after: str | None
    commits: str | None
    remote: str | None
    url: str | None
    dirty: bool


class DiffAnswer(Answer):
    """Everything that differs from version `before` to version `after`; equal parts are empty."""

    model: str
    before: int
    after: int
    code: CodeRangeAnswer | None
    facts: list[ChangeAnswer]
    data: list[ChangeAnswer]
    features: FeatureDiffAnswer
    params: list[ChangeAnswer]
    seeds: list[ChangeAnswer]
    packages: list[ChangeAnswer]
    metrics: list[MetricChangeAnswer]
    tags: list[ChangeAnswer]
    files: list[ChangeAnswer]
