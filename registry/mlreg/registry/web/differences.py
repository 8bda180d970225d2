"""What differs between two versions, as tables of a page: part by part, equal ones left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlreg.registry.domain.version_diff import Change, VersionDiff

MAX_SHOWN = 1_000
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that differs; `delta` is after minus before, of metrics."""

    name: str
    before: str
    after: str
    delta: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the difference; `measured` has a column for `delta`."""

    title: str
    rows: Sequence[Row]
    measured: bool = False


def parts_of(diff: VersionDiff) -> list[Part]:
    """Return the parts that differ, metrics first."""
    found = [
        Part("Metrics", [_metric(*one) for one in _metrics(diff)], measured=True),
        Part("Record", _rows(diff.facts)),
        Part("Data", _rows(diff.data)),
        Part("Features", _features(diff)),
        Part("Hyperparameters", _rows(diff.params)),
        Part("Seeds", _rows(diff.seeds)),
        Part("Tags", _rows(diff.tags)),
        Part("Packages", _rows(diff.packages)),
        Part("Files", _rows(diff.files)),
    ]
    return [part for part in found if part.rows]


def _metrics(
    diff: VersionDiff,
) -> Iterable[tuple[str, float | None, float | None, float | None]]:
    return ((one.name, one.before, one.after, one.delta) for one in diff.metrics)


def _metric(name: str, before: float | None, after: float | None, delta: float | None) -> Row:
    return Row(name, _value(before), _value(after), "" if delta is None else f"{delta:+.5g}")


def _features(diff: VersionDiff) -> list[Row]:
    features = diff.features
    return [
        *(Row(name, NOTHING, "added") for name in features.added),
        *(Row(name, "removed", NOTHING) for name in features.removed),
        *_rows(features.changed),
        *([Row("order of the columns", "one", "another")] if features.reordered else []),
    ]


def _rows(changes: Iterable[Change]) -> list[Row]:
    return [Row(one.name, _value(one.before), _value(one.after)) for one in changes]


def _value(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
