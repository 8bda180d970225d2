"""Metrics of orders within groups: ndcg over the first places, mrr.

`ndcg` is the discounted cumulative gain over that of the best order (Jarvelin and Kekalainen, ACM
TOIS 20, 2002), with gains 2^label - 1 and discounts 1 / log2(place + 1), the ones LightGBM uses.
Rows of equal score share the mean of their gains (McSherry and Najork, ECIR 2008), so no order that
the model did not give counts. `mrr` is the mean of 1 / place of the first row with a label above
zero; of T rows of equal score with R such, its place is the expected one, (T + 1) / (R + 1).

What always holds: a group counts once, with the mean weight of its rows, in the block of its first
row; a group without any label above zero is left out.
"""

from __future__ import annotations

import numpy as np

from mlreg.controller.domain.metrics.blocks import Floats, Integers, MeanLoss, Rows


def ranking_metric(metric: str, rows: Rows, scores: Floats, at: int) -> MeanLoss:
    """Return `ndcg` of the first `at` places, or `mrr`; without groups every row is its own."""
    groups = np.arange(len(rows)) if rows.groups is None else rows.groups
    groups = np.unique(groups, return_inverse=True)[1].astype(np.intp)
    count = int(groups.max()) + 1 if len(groups) else 0
    if metric == "ndcg":
        values = _ndcg(rows.labels, scores, groups, at)
    else:
        values = _reciprocal_ranks(rows.labels, scores, groups)
    sizes = np.bincount(groups, minlength=count)
    weights = np.bincount(groups, rows.weights, count) / np.maximum(sizes, 1)
    blocks = np.zeros(count, dtype=np.intp)
    blocks[groups[::-1]] = rows.blocks[::-1]  # the last to be written is the first row's
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0) * weights
    counted = np.where(known, weights, 0.0)
    return MeanLoss(
        np.bincount(blocks, sums, rows.block_count).astype(np.float64),
        np.bincount(blocks, counted, rows.block_count).astype(np.float64),
    )


def _ndcg(labels: Floats, scores: Floats, groups: Integers, at: int) -> Floats:
    gains = np.exp2(labels) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = _dcg(gains, scores, groups, at) / _dcg(gains, labels, groups, at)
    return found


def _dcg(gains: Floats, scores: Floats, groups: Integers, at: int) -> Floats:
    """Return the discounted gain of each group, rows of equal score sharing theirs."""
    order = np.lexsort((-scores, groups))
    place, run = _places(scores[order], groups[order])
    discounts = np.where(place < at, 1 / np.log2(place + 2.0), 0.0)
    sizes = np.bincount(run)
    shared = np.bincount(run, gains[order]) * np.bincount(run, discounts) / np.maximum(sizes, 1)
    owner = np.zeros(len(sizes), dtype=np.intp)
    owner[run] = groups[order]
    return np.bincount(owner, shared).astype(np.float64)


def _reciprocal_ranks(labels: Floats, scores: Floats, groups: Integers) -> Floats:
    order = np.lexsort((-scores, groups))
    place, run = _places(scores[order], groups[order])
    sizes = np.bincount(run)
    relevant = np.bincount(run, labels[order] > 0)
    first = np.full(len(sizes), np.iinfo(np.intp).max)
    np.minimum.at(first, run, place)
    expected = np.where(relevant > 0, first + (sizes + 1) / (relevant + 1), np.inf)
    best = np.full(int(groups.max()) + 1 if len(groups) else 0, np.inf)
    owner = np.zeros(len(sizes), dtype=np.intp)
    owner[run] = groups[order]
    np.minimum.at(best, owner, expected)
    return np.where(np.isfinite(best), 1 / best, np.nan)


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
