"""Snapshots: a frozen selection of rows, named by the digest of its canonical JSON.

What always holds: the same selection of the same segments has the same name; the body says all that
is needed to read it again (segments, time range, join, what is left out), so labels that come later
change nothing in it. The rows are logged ones, or those of a source (`sources.py`), which has the
labels in them: then it names no segments, and joins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mlreg.controller.domain.sources import FrozenSource
from mlreg.controller.domain.windows import Interval, merge_intervals
from mlreg.registry.domain.digests import canonical_json, checked_digest, digest_of
from mlreg.registry.domain.errors import InvalidError

FORMAT = 1
FORMAT_OF_SOURCES = 2


class InvalidSnapshotError(InvalidError):
    """A snapshot was asked for that cannot be: its times are out of order, or have no zone."""

    code = "invalid_snapshot"

    def __init__(self, *, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """What a snapshot selects.

    Attributes:
        predictions, labels: digests of segments, sorted by time.
        range: predictions of this time; labels up to `labels_until`.
        max_label_delay: a label that comes later after its prediction does not count.
        excluded: times (of predictions) that are left out.
        feature_contract: the digest of the contract it was made for, if any.
        source: where the rows are, if they are no logged ones.
    """

    model: str
    predictions: tuple[str, ...]
    labels: tuple[str, ...]
    range: Interval
    labels_until: datetime
    max_label_delay: timedelta
    excluded: tuple[Interval, ...] = ()
    feature_contract: str | None = None
    source: FrozenSource | None = None

    @classmethod
    def of_source(
        cls, model: str, source: FrozenSource, span: Interval, excluded: Sequence[Interval] = ()
    ) -> SnapshotBody:
        """Return what selects the rows of a source in a range; their labels are in them."""
        return cls(
            model=model,
            predictions=(),
            labels=(),
            range=span,
            labels_until=span.end,
            max_label_delay=timedelta(),
            excluded=clipped(excluded, span),
            source=source,
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing that it names can have a row."""
        return not self.predictions and (self.source is None or not self.source.files)

    @property
    def blobs(self) -> tuple[str, ...]:
        """Everything in our own store that it needs."""
        return self.segments if self.source is None else self.source.blobs

    @property
    def digest(self) -> str:
        """The snapshot's name."""
        return digest_of(self.to_bytes())

    @property
    def label_range(self) -> Interval | None:
        """The times of all labels that may count, None if none may."""
        latest = min(self.labels_until, self.range.end + self.max_label_delay)
        return Interval(self.range.start, latest) if latest > self.range.start else None

    @property
    def segments(self) -> tuple[str, ...]:
        """Every segment it needs."""
        return (*self.predictions, *self.labels)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.to_json())

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; times in UTC to the microsecond."""
        both: dict[str, object] = {
            "model": self.model,
            "start": _form(self.range.start),
            "end": _form(self.range.end),
            "excluded": [{"start": _form(i.start), "end": _form(i.end)} for i in self.excluded],
            "feature_contract": self.feature_contract,
        }
        if self.source is not None:
            return {**both, "format": FORMAT_OF_SOURCES, "source": self.source.to_json()}
        return {
            **both,
            "format": FORMAT,
            "predictions": list(self.predictions),
            "labels": list(self.labels),
            "join": {
                "max_label_delay_seconds": int(self.max_label_delay.total_seconds()),
                "labels_until": _form(self.labels_until),
            },
        }

    @classmethod
    def from_json(cls, form: Mapping[str, object]) -> SnapshotBody:
        """Read the JSON form.

        Raises:
            InvalidSnapshotError: it is not a snapshot of this format.
        """
        try:
            if form["format"] == FORMAT_OF_SOURCES:
                return cls._from_json_of_source(form)
            if form["format"] != FORMAT:
                raise InvalidSnapshotError(problem=f"unknown format {form['format']!r}")
            join = _mapping(form["join"])
            contract = form.get("feature_contract")
            return cls(
                model=str(form["model"]),
                predictions=_digests(form["predictions"]),
                labels=_digests(form["labels"]),
                range=_interval(form),
                labels_until=_moment(join["labels_until"]),
                max_label_delay=timedelta(seconds=int(str(join["max_label_delay_seconds"]))),
                excluded=tuple(_interval(_mapping(item)) for item in _items(form["excluded"])),
                feature_contract=None if contract is None else str(contract),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSnapshotError(problem=f"not a snapshot: {error}") from error

    @classmethod
    def _from_json_of_source(cls, form: Mapping[str, object]) -> SnapshotBody:
        source = FrozenSource.from_json(_mapping(form["source"]))
        excluded = [_interval(_mapping(item)) for item in _items(form["excluded"])]
        body = cls.of_source(str(form["model"]), source, _interval(form), excluded)
        contract = form.get("feature_contract")
        return body if contract is None else replace(body, feature_contract=str(contract))


def clipped(intervals: Sequence[Interval], span: Interval) -> tuple[Interval, ...]:
    """Return the intervals as far as they lie in the range, merged."""
    inside = [
        Interval(max(interval.start, span.start), min(interval.end, span.end))
        for interval in intervals
        if interval.overlaps(span)
    ]
    return merge_intervals(inside)


def asked_range(start: datetime, end: datetime) -> Interval:
    """Return the range that somebody asks for.

    Raises:
        InvalidSnapshotError: the times are out of order or have no zone.
    """
    try:
        return Interval(start, end)
    except ValueError as error:
        raise InvalidSnapshotError(problem=str(error)) from error


def _form(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(form: object) -> datetime:
    return datetime.fromisoformat(str(form)).astimezone(UTC)


def _interval(form: Mapping[str, object]) -> Interval:
    return Interval(_moment(form["start"]), _moment(form["end"]))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _digests(value: object) -> tuple[str, ...]:
    return tuple(checked_digest(str(item)) for item in _items(value))
