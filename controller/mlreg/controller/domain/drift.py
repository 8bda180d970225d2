"""Drift as effect sizes: how far a window's profile lies from a reference, not how surely.

A p-value of a large window is always small, and so tells the time rather than the drift. These
three sizes do not grow with the rows; what is large is judged against the stream's own history
(monitors), not here.

What always holds: only profiles of the same bins are compared; nulls and unseen categories are
groups of their own; where either side has no rows there is no size, and None says so. Shares are
compared in about twenty groups of bins (of a category: one for each that has a hundredth of the
reference, and one for the rest), for every group adds its noise: without any drift PSI is about
(groups - 1) (1 / rows + 1 / reference rows).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.profile import ColumnProfile, DifferentBinsError, Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

PSEUDO_COUNT = 0.5
GROUPS = 20
RARE = 0.01


@dataclass(frozen=True, slots=True)
class EffectSizes:
    """How far one column has drifted; None where it is not defined.

    Attributes:
        psi: population stability index (nats, symmetric Kullback-Leibler divergence).
        jensen_shannon: distance, 0 to 1 (square root of the divergence in bits).
        wasserstein: first Wasserstein distance in standard deviations of the reference.
        rows: rows of the window.
    """

    psi: float | None
    jensen_shannon: float | None
    wasserstein: float | None
    rows: int


def effect_sizes(reference: Profile, current: Profile) -> dict[str, EffectSizes]:
    """Return the sizes of every column (features in order, then the score).

    Raises:
        DifferentBinsError: the profiles' bins differ.
    """
    if reference.bins.digest != current.bins.digest:
        raise DifferentBinsError
    sizes = {}
    for column in reference.bins.columns:
        before, now = reference.column(column.name), current.column(column.name)
        sizes[column.name] = EffectSizes(
            psi=psi(before, now),
            jensen_shannon=jensen_shannon(before, now),
            wasserstein=wasserstein_over_sigma(before, now),
            rows=now.rows,
        )
    return sizes


def psi(reference: ColumnProfile, current: ColumnProfile) -> float | None:
    """Return the population stability index, sum of (p - q) ln(p / q) over all groups.

    Half a row is added to every group of both sides (Jeffreys' prior), so that an empty one counts
    for much, but not for infinitely much. Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227.
    """
    if reference.rows == 0 or current.rows == 0:
        return None
    groups = _groups(reference)
    before = _shares(reference, groups, PSEUDO_COUNT)
    now = _shares(current, groups, PSEUDO_COUNT)
    return float(np.sum((now - before) * np.log(now / before)))


def jensen_shannon(reference: ColumnProfile, current: ColumnProfile) -> float | None:
    """Return the Jensen-Shannon distance to base 2: 0 for equal shares, 1 for disjoint ones.

    As `scipy.spatial.distance.jensenshannon(p, q, base=2)`. Lin 1991, doi:10.1109/18.61115.
    """
    if reference.rows == 0 or current.rows == 0:
        return None
    groups = _groups(reference)
    before, now = _shares(reference, groups, 0.0), _shares(current, groups, 0.0)
    middle = (before + now) / 2.0
    divergence = (_relative_entropy(before, middle) + _relative_entropy(now, middle)) / 2.0
    return math.sqrt(max(divergence, 0.0) / math.log(2.0))


def wasserstein_over_sigma(reference: ColumnProfile, current: ColumnProfile) -> float | None:
    """Return the integral of |F - G| over the value, in the reference's standard deviations.

    The distribution functions are taken as straight within a bin; the outer bins end at the minimum
    and maximum. None for categories, and where the reference is constant or either side unknown.
    """
    if not len(reference.edges) or not reference.known or not current.known:
        return None
    sigma = reference.deviation
    if not (sigma > 0.0 and math.isfinite(sigma)):
        return None
    points = _support(reference, current)
    gap = _distribution(reference, points) - _distribution(current, points)
    return _area(points, gap) / sigma


def _groups(reference: ColumnProfile) -> NDArray[np.intp]:
    """Return the group of each bin: under- and overflow, and between them equal shares."""
    total = max(int(reference.counts.sum()), 1)
    if not len(reference.edges):
        common = reference.counts >= RARE * total
        return np.where(common, np.cumsum(common), 0)
    before = np.cumsum(reference.counts) - reference.counts
    groups = 1 + np.minimum(before * GROUPS // total, GROUPS - 1)
    groups[0], groups[-1] = 0, GROUPS + 1
    return np.asarray(groups, dtype=np.intp)


def _shares(column: ColumnProfile, groups: NDArray[np.intp], pseudo: float) -> NDArray[np.float64]:
    """Return the share of each group, then of nulls and unseen; `pseudo` rows are added to each."""
    places = np.unique(groups, return_inverse=True)[1]
    grouped = np.bincount(places, weights=column.counts)
    counts = np.append(grouped, [column.nulls, column.unseen]) + pseudo
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _relative_entropy(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    some = shares > 0.0
    return float(np.sum(shares[some] * np.log(shares[some] / middle[some])))


def _support(reference: ColumnProfile, current: ColumnProfile) -> NDArray[np.float64]:
    """Return every point at which a distribution function may bend."""
    ends = [reference.minimum, reference.maximum, current.minimum, current.maximum]
    return np.unique(np.concatenate([reference.edges, ends]))


def _distribution(column: ColumnProfile, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of known values up to each point."""
    inner = np.clip(column.edges, column.minimum, column.maximum)
    places = np.concatenate([[column.minimum], inner, [column.maximum]])
    shares = np.concatenate([[0.0], np.cumsum(column.counts) / column.known])
    found: NDArray[np.float64] = np.interp(points, places, shares, left=0.0, right=1.0)
    return found


def _area(points: NDArray[np.float64], gap: NDArray[np.float64]) -> float:
    """Return the area under |gap|, which is straight between points and may change its sign."""
    left, right, widths = np.abs(gap[:-1]), np.abs(gap[1:]), np.diff(points)
    crosses = gap[:-1] * gap[1:] < 0.0
    total = left + right
    safe = np.where(total > 0.0, total, 1.0)
    crossed = (left * left + right * right) / safe
    return float(np.sum(np.where(crosses, crossed, total) * widths / 2.0))
