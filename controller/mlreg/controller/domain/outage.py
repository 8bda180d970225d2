"""Outages: hours in which the features of a feed that can fail stood at their defaults.

What always holds: a feature speaks only where its share at the default (or missing) is both above
`above` and well above its share in the reference, so a rainfall that is zero on most days never
does; hours with hardly any rows say nothing and end nothing; an outage is told once it rests on
enough hours and rows, and ends with the first good hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mlreg.controller.domain.windows import HOUR, Interval


@dataclass(frozen=True, slots=True)
class OutageRule:
    """When a feed is taken to be down.

    Attributes:
        above: share of an hour's rows at default or missing, of one at-risk feature.
        beyond_reference: and that much more than in the reference.
        min_hour_rows: an hour with fewer rows says nothing.
        min_hours, min_rows: what the bad hours together must have before it is told.
    """

    above: float = 0.5
    beyond_reference: float = 0.3
    min_hour_rows: int = 10
    min_hours: int = 3
    min_rows: int = 100


@dataclass(frozen=True, slots=True)
class HourShares:
    """One closed hour: its rows, and by at-risk feature the share at its default or missing."""

    start: datetime
    rows: int
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The present stretch of bad hours; told once it is an outage.

    Attributes:
        start, end: first bad hour's start, last bad hour's end.
        worst: by feature the highest share seen.
    """

    start: datetime
    end: datetime
    hours: int
    rows: int
    worst: Mapping[str, float]
    told: bool = False

    @property
    def interval(self) -> Interval:
        """From the first bad hour to the end of the last one."""
        return Interval(self.start, self.end)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "hours": self.hours,
            "rows": self.rows,
            "worst": dict(self.worst),
            "told": self.told,
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Suspicion:
        """Read what `to_json` wrote."""
        return cls(
            start=datetime.fromisoformat(form["start"]),
            end=datetime.fromisoformat(form["end"]),
            hours=form["hours"],
            rows=form["rows"],
            worst=form["worst"],
            told=form["told"],
        )


@dataclass(frozen=True, slots=True)
class OutageStep:
    """What one hour did: the suspicion after it, and what is to be written down."""

    suspicion: Suspicion | None
    begun: bool = False
    grown: bool = False
    ended: Suspicion | None = None


def bad_features(
    hour: HourShares, reference: Mapping[str, float], rule: OutageRule
) -> dict[str, float]:
    """Return the features that stood at their defaults, with their shares."""
    return {
        feature: share
        for feature, share in hour.shares.items()
        if share > rule.above and share - reference.get(feature, 0.0) > rule.beyond_reference
    }


def step(
    suspicion: Suspicion | None,
    hour: HourShares,
    reference: Mapping[str, float],
    rule: OutageRule,
) -> OutageStep:
    """Take one more hour into account; hours come in order of time."""
    if hour.rows < rule.min_hour_rows:
        return OutageStep(suspicion)
    bad = bad_features(hour, reference, rule)
    if not bad:
        ended = suspicion if suspicion is not None and suspicion.told else None
        return OutageStep(None, ended=ended)
    grown = _grown(suspicion, hour, bad)
    if grown.told:
        return OutageStep(grown, grown=True)
    if grown.hours >= rule.min_hours and grown.rows >= rule.min_rows:
        return OutageStep(replace(grown, told=True), begun=True)
    return OutageStep(grown)


def _grown(suspicion: Suspicion | None, hour: HourShares, bad: Mapping[str, float]) -> Suspicion:
    end = hour.start + HOUR
    if suspicion is None:
        return Suspicion(hour.start, end, 1, hour.rows, dict(bad))
    worst = dict(suspicion.worst)
    for feature, share in bad.items():
        worst[feature] = max(share, worst.get(feature, 0.0))
    return replace(
        suspicion,
        end=end,
        hours=suspicion.hours + 1,
        rows=suspicion.rows + hour.rows,
        worst=worst,
    )
