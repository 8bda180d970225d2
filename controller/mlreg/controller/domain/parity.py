"""Parity: does the model say offline what it said online, and did it see the same features?

Two questions, apart from each other. `compare_scores`: the logged features, scored again by the
stored version: a difference is in the model, the encoding or the logging. `compare_feature`: the
logged features against an offline table's: a difference is training/serving skew.

What always holds: two numbers differ where they are further apart than `tolerance` times the larger
of 1 and the offline one; missing equals missing and nothing else. Scores are one number for a row,
or one for each class of it: then a row differs where any of them does, by the largest difference,
and what is said of its distribution is said of its confidence, the highest probability.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.shares import Share

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of some scores; None where there are none."""

    mean: float | None
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class FeatureSkew:
    """One feature online against offline, on the same predictions.

    Attributes:
        mean_difference: online minus offline where both are known; None of texts.
        rescored: rows that were scored again with the offline value of this feature alone.
        score_differs: the share of them whose score differs by that.
        score_shift: the mean absolute change of their score.
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
    rescored: int = 0
    score_differs: float | None = None
    score_shift: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One feature of some rows: numbers, or codes that both sides share; and where it is known."""

    values: NDArray[np.generic]
    known: Booleans
    is_number: bool


def differs(online: Floats, offline: Floats, tolerance: float) -> Booleans:
    """Return where two numbers differ; not-a-number differs from every number."""
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(online - offline) <= tolerance * np.maximum(1.0, np.abs(offline))
    found: Booleans = ~(near | (online == offline) | (np.isnan(online) & np.isnan(offline)))
    return found


def scores_differ(online: Floats, offline: Floats, tolerance: float) -> Booleans:
    """Return the rows of which a score differs."""
    return np.asarray(_by_row(differs(online, offline, tolerance)).any(axis=1), dtype=np.bool_)


def score_differences(online: Floats, offline: Floats) -> Floats:
    """Return the absolute difference of each row's scores, of several the largest."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = _by_row(np.abs(online - offline)).max(axis=1)
    return np.asarray(apart, dtype=np.float64)


def largest_difference(online: Floats, offline: Floats) -> float | None:
    """Return the largest absolute difference; None where there is none."""
    apart = score_differences(online, offline)
    apart = apart[np.isfinite(apart)]
    return float(apart.max()) if len(apart) else None


def distribution_of(scores: Floats) -> Distribution:
    """Return mean, median and 99th percentile of the finite scores."""
    of_rows = _by_row(scores).max(axis=1)
    known = of_rows[np.isfinite(of_rows)]
    if not len(known):
        return Distribution(None, None, None)
    p50, p99 = np.quantile(known, [0.5, 0.99])
    return Distribution(float(known.mean()), float(p50), float(p99))


def column_differs(online: Column, offline: Column, tolerance: float) -> Booleans:
    """Return where a feature has another value online than offline."""
    if online.is_number:
        first, second = (
            np.where(side.known, side.values.astype(np.float64), np.nan)
            for side in (online, offline)
        )
        return differs(first, second, tolerance)
    both = online.known & offline.known
    found: Booleans = (online.known != offline.known) | (
        both & np.not_equal(online.values, offline.values)
    )
    return found


def compare_feature(feature: str, columns: tuple[Column, Column], differ: Booleans) -> FeatureSkew:
    """Return the skew of a feature, online then offline, whose values differ in some rows."""
    online, offline = columns
    share = Share.of(differ)
    mean = None
    both = online.known & offline.known
    if online.is_number and both.any():
        apart = online.values[both].astype(np.float64) - offline.values[both].astype(np.float64)
        mean = float(apart.mean())
    return FeatureSkew(
        feature,
        share.rows,
        share.differ,
        share.share,
        share.low,
        share.high,
        online_nulls=1 - float(online.known.mean()) if len(online.known) else 0.0,
        offline_nulls=1 - float(offline.known.mean()) if len(offline.known) else 0.0,
        mean_difference=mean if mean is not None and np.isfinite(mean) else None,
    )


def score_effect(logged: Floats, swapped: Floats, tolerance: float) -> Mapping[str, Any]:
    """Return what scores do when one feature takes its offline value."""
    if not len(logged):
        return {"rescored": 0}
    with np.errstate(invalid="ignore"):
        shift = float(np.mean(score_differences(logged, swapped)))
    return {
        "rescored": len(logged),
        "score_differs": float(scores_differ(swapped, logged, tolerance).mean()),
        "score_shift": shift if np.isfinite(shift) else None,
    }


def _by_row(values: NDArray[T]) -> NDArray[T]:
    """Return one number for each row, or several, as rows by numbers."""
    return values[:, None] if values.ndim == 1 else values
