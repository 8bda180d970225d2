"""Joint drift: can a classifier tell the rows of a window from those of the training?

It sees what no single feature shows, such as two features that ceased to move together. Its AUC on
rows that it was not fitted on is an effect size: 0.5 is no drift that it could find, 1 is disjoint.

What always holds: every score is of a row that the model which gave it has not seen; the interval
is that of independent rows, so of streams whose rows resemble their neighbours it is too narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Z = 1.959963984540054
FOLDS = 5


@dataclass(frozen=True, slots=True)
class JointShift:
    """How well the window can be told from the training rows.

    Attributes:
        auc: cross-fitted; `low` and `high` are its 95 % confidence interval.
        culprits: features and their shares of what the classifier gained, the largest first.
    """

    auc: float
    low: float
    high: float
    culprits: tuple[tuple[str, float], ...]


def fold_of(rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a fold for each row, all of one size but for the last row."""
    return rng.permutation(rows) % FOLDS


def shift_of(is_window: NDArray[np.bool_], scores: Floats, gains: dict[str, float]) -> JointShift:
    """Return the shift that cross-fitted scores show.

    The interval is DeLong's (1988, doi:10.2307/2531595), by midranks (Sun & Xu 2014).
    """
    ours, theirs = scores[is_window], scores[~is_window]
    both = _midranks(scores)
    above = (both[is_window] - _midranks(ours)) / len(theirs)
    below = 1.0 - (both[~is_window] - _midranks(theirs)) / len(ours)
    auc = float(above.mean())
    spread = math.sqrt(above.var(ddof=1) / len(ours) + below.var(ddof=1) / len(theirs))
    total = sum(gains.values()) or 1.0
    ranked = sorted(gains.items(), key=lambda one: -one[1])
    culprits = tuple((name, gain / total) for name, gain in ranked if gain > 0.0)
    return JointShift(auc, max(auc - Z * spread, 0.0), min(auc + Z * spread, 1.0), culprits)


def _midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1, equal ones sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(ends - (counts - 1) / 2.0, dtype=np.float64)[place]
