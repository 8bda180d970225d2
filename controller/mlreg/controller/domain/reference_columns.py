"""The columns of a reference, as all effect sizes look at them: which are numbers, which rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bins import SCORE, Bins

if TYPE_CHECKING:
    from mlreg.controller.domain.profile import Profile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceColumns:
    """What is known of each column, (columns,).

    Attributes:
        starts: the first bin of each among all bins.
        filled: the places of the columns that have bins.
        numbers: whether it is a number, not a category.
        scores: whether it is the score.
        rows: of the reference; of the score, those with one.
        known: those of them that are neither null nor unseen.
    """

    bins: Bins
    starts: NDArray[np.intp]
    filled: NDArray[np.intp]
    numbers: NDArray[np.bool_]
    scores: NDArray[np.bool_]
    rows: Floats
    known: Floats

    @classmethod
    def of(cls, reference: Profile) -> ReferenceColumns:
        """Look at a reference."""
        bins = reference.bins
        starts, filled = bins.offsets[:-1], np.flatnonzero(np.diff(bins.offsets))
        known = _summed(reference.counts[None], starts, filled)[0]
        return cls(
            bins,
            starts,
            filled,
            numbers=np.array([len(column.edges) > 0 for column in bins.columns], dtype=bool),
            scores=np.array([column.name == SCORE for column in bins.columns], dtype=bool),
            rows=known + reference.tallies[:2].sum(axis=0),
            known=known,
        )

    def summed(self, values: NDArray[Any]) -> Floats:
        """Return (windows, columns): the sum over each column's bins."""
        return _summed(values, self.starts, self.filled)


def _summed(values: NDArray[Any], starts: NDArray[np.intp], filled: NDArray[np.intp]) -> Floats:
    found = np.zeros((len(values), len(starts)))
    found[:, filled] = np.add.reduceat(values, starts[filled], axis=1)
    return found
