"""How long labels take: a model's own distribution, from counts by age that merge.

Two questions, two estimators, both on the same small counts:

- *what share of predictions is labelled by an age?* Rows that are not labelled yet are censored at
  their age. Kaplan and Meier (JASA 53, 1958): one minus the product, over ages, of the share of
  rows still awaited that was not labelled at that age; those censored within an age count half
  (the actuarial estimator). Labels that never come keep it below 1.
- *what share of the labels of a class has come by an age?* The class of a row that is not labelled
  is not known, so only labelled rows tell, and of young rows only the quick labels are seen: they
  are truncated at the row's age. Lagakos, Barraj and De Gruttola (Biometrika 75, 1988): the same
  product, run backwards from the longest age seen.

What always holds: the counts of two sets of rows add up to those of both; ages are in seconds, cut
on a fixed logarithmic grid (a cell is 12 % of its age), and within a cell labels are taken to come
evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.metrics import Floats, Integers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CELLS = 128
EDGES = np.concatenate([[0.0], np.geomspace(60.0, 400 * 86_400.0, CELLS)])
"""Lower edges of the cells; the last one is open."""
MIN_LABELS = 50


@dataclass(frozen=True, slots=True, eq=False)
class DelayCounts:
    """Rows by age.

    Attributes:
        labelled: classes by cells, labelled rows by the age at which the label came.
        seen: classes by cells, the same rows by the age up to which they were watched.
        awaited: by cells, rows without a label by the age up to which they were watched.
    """

    labelled: Integers
    seen: Integers
    awaited: Integers

    def __add__(self, other: DelayCounts) -> DelayCounts:
        return DelayCounts(
            self.labelled + other.labelled, self.seen + other.seen, self.awaited + other.awaited
        )

    def to_json(self) -> dict[str, Any]:
        """Return the counts that are not zero."""
        return {
            "labelled": [_sparse(row) for row in self.labelled],
            "seen": [_sparse(row) for row in self.seen],
            "awaited": _sparse(self.awaited),
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> DelayCounts:
        """Read what `to_json` wrote."""
        labelled = np.stack([_dense(row) for row in form["labelled"]])
        return cls(
            labelled, np.stack([_dense(row) for row in form["seen"]]), _dense(form["awaited"])
        )


def count_delays(delays: Floats, watched: Floats, classes: Integers, count: int) -> DelayCounts:
    """Count rows by age.

    Args:
        delays: seconds from prediction to label; NaN where no label came.
        watched: seconds from prediction to the last moment whose labels are known.
        classes: the class of each label; of no meaning where there is none.
        count: how many classes there are; 1 where labels are numbers.
    """
    known = np.isfinite(delays)
    return DelayCounts(
        labelled=_by_class(_cells(delays[known]), classes[known], count),
        seen=_by_class(_cells(watched[known]), classes[known], count),
        awaited=np.bincount(_cells(watched[~known]), minlength=CELLS + 1).astype(np.intp),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A share of labels that has come, by age: rising, linear within a cell.

    Attributes:
        by_edge: the share at each edge of the grid, and at its open end.
        labels: how many labels it rests on.
    """

    by_edge: Floats
    labels: int

    def share(self, ages: Floats) -> Floats:
        """Return the share that has come by each age, in seconds."""
        edges = np.append(EDGES, 2 * EDGES[-1])
        found: Floats = np.interp(np.maximum(ages, 0.0), edges, self.by_edge)
        return found


def share_labelled(counts: DelayCounts) -> Arrival | None:
    """Return the share of predictions that is labelled by an age (Kaplan and Meier)."""
    labelled = counts.labelled.sum(axis=0)
    if labelled.sum() < MIN_LABELS:
        return None
    leaving = labelled + counts.awaited
    at_risk = leaving[::-1].cumsum()[::-1] - counts.awaited / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(labelled > 0, labelled / at_risk, 0.0)
    still = np.cumprod(1 - np.minimum(hazard, 1.0))
    return Arrival(np.concatenate([[0.0], 1 - still]), int(labelled.sum()))


def shares_by_class(counts: DelayCounts) -> Sequence[Arrival | None]:
    """Return, for each class, the share of its labels that has come by an age.

    It is relative to the longest age at which any row was watched (Lagakos, Barraj, De Gruttola);
    None for a class with fewer than `MIN_LABELS` labels.
    """
    return [_reversed(one, two) for one, two in zip(counts.labelled, counts.seen, strict=True)]


def _reversed(labelled: Integers, seen: Integers) -> Arrival | None:
    if labelled.sum() < MIN_LABELS:
        return None
    # at an age, of the rows that were watched for so long, those labelled by then
    at_risk = labelled.cumsum() - (seen.cumsum() - seen)
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(at_risk > 0, labelled / at_risk, 0.0)
    factors = 1 - np.clip(hazard, 0.0, 1.0)
    first = int(np.flatnonzero(labelled)[0])
    factors[first] = 0.0  # before the first label nothing has come, however little is at risk
    after = np.append(factors[1:][::-1].cumprod()[::-1], 1.0)
    return Arrival(np.concatenate([[0.0], after]), int(labelled.sum()))


def _cells(ages: Floats) -> Integers:
    return np.clip(np.searchsorted(EDGES, ages, side="right") - 1, 0, CELLS).astype(np.intp)


def _by_class(cells: Integers, classes: Integers, count: int) -> Integers:
    flat = np.bincount(classes * (CELLS + 1) + cells, minlength=count * (CELLS + 1))
    return flat.reshape(count, CELLS + 1).astype(np.intp)


def _sparse(counts: Integers) -> list[list[int]]:
    return [[int(cell), int(counts[cell])] for cell in np.flatnonzero(counts)]


def _dense(form: Sequence[Sequence[int]]) -> Integers:
    counts = np.zeros(CELLS + 1, dtype=np.intp)
    for cell, number in form:
        counts[cell] = number
    return counts
