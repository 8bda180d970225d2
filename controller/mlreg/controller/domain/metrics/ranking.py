"""Metrics of orders within groups: ndcg and map over the first places, mrr.

`ndcg` is the discounted cumulative gain over that of the best order (Jarvelin and Kekalainen, ACM
TOIS 20, 2002), with gains 2^label - 1 and discounts 1 / log2(place + 1), the ones LightGBM uses.
`map` is the mean of the precisions at the relevant rows (label above zero) of the first places,
over as many as could be there, so that the best order has 1; `mrr` is 1 / place of the first of
them.

What always holds: each is what is expected of a random order among rows of equal score (McSherry
and Najork, ECIR 2008), so no order that the model did not give counts, and a constant score has the
value of knowing nothing. A group counts once, with the mean weight of its rows, in the earliest of
their blocks. A group whose order cannot be wrong (one row, or all labels equal) is left out; so are
rows without a group (below 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from mlreg.controller.domain.metrics.blocks import Booleans, Floats, Integers, MeanLoss, Rows

MAX_GRADE = 30
"""Gains are 2^grade - 1, which LightGBM knows up to here."""
USUAL_PLACES = 10
PLACED = frozenset({"ndcg", "map"})
"""The metrics that look at the first places only."""
ORDERS = frozenset({*PLACED, "mrr"})


@dataclass(frozen=True, slots=True, eq=False)
class GroupValues:
    """A metric of each group that counts: its value, weight and block."""

    values: Floats
    weights: Floats
    blocks: Integers


def ranking_metric(metric: str, rows: Rows, scores: Floats, at: int) -> MeanLoss:
    """Return a metric of the first `at` places (`mrr`: of all); undefined without groups."""
    groups = group_values(metric, rows, scores, at)
    size = rows.block_count
    sums = np.bincount(groups.blocks, groups.values * groups.weights, size)
    weights = np.bincount(groups.blocks, groups.weights, size)
    return MeanLoss(sums.astype(np.float64), weights.astype(np.float64))


def group_values(metric: str, rows: Rows, scores: Floats, at: int = USUAL_PLACES) -> GroupValues:
    """Return a metric of every group whose order can be wrong, in the order of the groups.

    Which groups these are follows from the labels alone: two models have the same.
    """
    counted = counted_rows(rows)
    rows, scores = rows.where(counted), scores[counted]
    if rows.groups is None or not len(rows):
        return GroupValues(np.empty(0), np.empty(0), np.empty(0, dtype=np.intp))
    groups = np.unique(rows.groups, return_inverse=True)[1].astype(np.intp)
    sizes = np.bincount(groups)
    blocks = np.full(len(sizes), rows.block_count, dtype=np.intp)
    np.minimum.at(blocks, groups, rows.blocks)
    weights = np.bincount(groups, rows.weights) / sizes
    if metric == "ndcg":
        gains = np.exp2(rows.labels) - 1
        values = _gains(gains, scores, groups, at) / _gains(gains, rows.labels, groups, at)
    else:
        found = _expected if metric == "map" else _reciprocal
        values = found(_Order.of(rows.labels > 0, scores, groups), at)
    return GroupValues(values, weights, blocks)


def counted_rows(rows: Rows) -> Booleans:
    """Say which rows belong to a group whose order can be wrong."""
    if rows.groups is None or not len(rows):
        return np.zeros(len(rows), dtype=bool)
    places = _from_zero(rows.groups)
    least, most = np.full(places.max() + 1, np.inf), np.full(places.max() + 1, -np.inf)
    np.minimum.at(least, places, rows.labels)
    np.maximum.at(most, places, rows.labels)
    counted: Booleans = (least < most)[places] & (rows.groups >= 0)
    return counted


def whole_groups(mask: Booleans, groups: Integers) -> Booleans:
    """Return the rows of a mask whose group lies in it with all its rows: part of one is none."""
    places = _from_zero(groups)
    torn = np.bincount(places, ~mask) > 0
    whole: Booleans = mask & ~torn[places]
    return whole


def _from_zero(groups: Integers) -> Integers:
    """Return codes of groups, those of no group included; they are dense, so no sort is needed."""
    return np.maximum(groups, -1) + 1


def _gains(gains: Floats, scores: Floats, groups: Integers, at: int) -> Floats:
    """Return the discounted gain of each group, rows of equal score sharing theirs."""
    order = np.lexsort((-scores, groups))
    place, run = _places(scores[order], groups[order])
    discounts = np.where(place < at, 1 / np.log2(place + 2.0), 0.0)
    shared = np.bincount(run, gains[order]) / np.bincount(run)
    return np.bincount(groups[order], shared[run] * discounts).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Rows by group and falling score; of each: its group, its place, and its run of equal scores.

    Attributes:
        place: in the group, from 0.
        inside: place in the run, from 0.
        size, relevant: how many rows the run has, and how many of them are relevant.
        before: how many relevant rows of the group stand before the run.
    """

    groups: Integers
    place: Integers
    inside: Integers
    size: Integers
    relevant: Floats
    before: Floats

    @classmethod
    def of(cls, relevant: Booleans, scores: Floats, groups: Integers) -> _Order:
        """Put rows in order."""
        order = np.lexsort((-scores, groups))
        groups = groups[order]
        place, run = _places(scores[order], groups)
        hit = relevant[order].astype(np.float64)
        sizes, hits = np.bincount(run), np.bincount(run, hit).astype(np.float64)
        first = np.cumsum(sizes) - sizes
        ahead = np.cumsum(hits) - hits  # of all groups up to here
        of_group = np.bincount(groups, hit)
        ahead = ahead[run] - (np.cumsum(of_group) - of_group)[groups]
        inside = np.arange(len(groups)) - first[run]
        return cls(groups, place, inside, sizes[run], hits[run], ahead)


def _expected(order: _Order, at: int) -> Floats:
    """Return the average precision of each group: at each place the expected hits up to there."""
    chance = order.relevant / order.size
    others = np.maximum(order.size - 1, 1)
    hits = order.before + 1 + order.inside * (order.relevant - 1) / others
    precision = np.where(order.place < at, chance * hits / (order.place + 1), 0.0)
    possible = np.minimum(np.bincount(order.groups, chance).round(), at)
    return np.bincount(order.groups, precision) / possible


def _reciprocal(order: _Order, _at: int) -> Floats:
    """Return the expected 1 / place of the first relevant row of each group.

    A row of a run is the first relevant one if those before it in the run are not, drawn without
    putting back, and it is.
    """
    size, left = order.size - order.inside, order.size - order.relevant
    possible = (order.before == 0) & (order.inside <= left)
    spare = np.where(possible, left - order.inside, 0.0)
    none = np.exp(
        gammaln(left + 1) - gammaln(spare + 1) + gammaln(size + 1) - gammaln(order.size + 1)
    )
    chance = np.where(possible, none * order.relevant / size, 0.0)
    return np.bincount(order.groups, chance / (order.place + 1)).astype(np.float64)


def _places(scores: Floats, groups: Integers) -> tuple[Integers, Integers]:
    """Return the place of each sorted row in its group, from 0, and its run of equal scores."""
    size = len(groups)
    new_group = np.ones(size, dtype=bool)
    new_group[1:] = groups[1:] != groups[:-1]
    starts = np.flatnonzero(new_group)
    place = np.arange(size) - starts[np.cumsum(new_group) - 1] if size else np.arange(0)
    new_run = new_group.copy()
    new_run[1:] |= scores[1:] != scores[:-1]
    return place, np.cumsum(new_run) - 1
