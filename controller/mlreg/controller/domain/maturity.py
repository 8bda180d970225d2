"""How mature a window is, and what its labels say once the delay is taken into account.

A window is looked at before all its labels are there. If labels of one class come later than those
of another (a claim that is not paid is known only when its time is up), the labels that are there
are no fair sample: every metric on them is biased. Each labelled row is therefore weighted by one
over the chance that a label of its class had come by its age (Horvitz and Thompson, JASA 47, 1952;
for delayed labels Chapelle, KDD 2014, and Ktena and others, RecSys 2019), which takes the bias out
as far as the delay depends on nothing but the class.

What always holds: rows so young that of some class hardly any label comes so early (`LEAST_SHARE`)
are left out, for no weight could stand for what was never seen; when too few rows are left, or the
delay of a class is not known, there is no corrected value, and the reason is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.metrics import Booleans, Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.delays import Arrival
    from mlreg.controller.domain.metrics import Integers

LEAST_SHARE = 0.05
LEAST_KEPT = 0.5


@dataclass(frozen=True, slots=True)
class Maturity:
    """How far a window's labels are.

    Attributes:
        labelled: rows that have a label.
        expected: the share of rows that is expected to have one at this age.
        maturity: that share, of the one that is expected once the window is mature; 0 to 1.
    """

    labelled: int
    expected: float
    maturity: float

    def as_evidence(self) -> dict[str, float | int]:
        """Return the numbers, as a reading keeps them."""
        return {
            "maturity": round(self.maturity, 4),
            "labelled": self.labelled,
            "expected": round(self.expected, 4),
        }


@dataclass(frozen=True, slots=True)
class Ages:
    """How old rows are, in seconds.

    Attributes:
        now: when they are looked at.
        mature: when their window is mature.
    """

    now: Floats
    mature: Floats


@dataclass(frozen=True, slots=True)
class Correction:
    """The weights that stand for labels that are still to come.

    Attributes:
        weights: one per row, of meaning where there is a label.
        kept: the rows that count.
        because: why there is no correction; empty where there is one.
    """

    weights: Floats
    kept: Booleans
    because: str = ""


def maturity_of(labelled: int, ages: Ages, arrival: Arrival) -> Maturity:
    """Return how mature rows of these ages are."""
    expected = float(np.mean(arrival.share(ages.now))) if len(ages.now) else 0.0
    at_last = float(np.mean(arrival.share(ages.mature))) if len(ages.now) else 0.0
    share = min(1.0, expected / at_last) if at_last > 0 else 0.0
    return Maturity(labelled, expected, share)


def correct(classes: Integers, ages: Ages, arrivals: Sequence[Arrival | None]) -> Correction:
    """Return the weights that undo the delay of labels.

    Args:
        classes: of each label; of no meaning where there is none.
        ages: of each row.
        arrivals: of each class, the share of its labels that has come by an age.
    """
    size = len(classes)
    unknown = [number for number, one in enumerate(arrivals) if one is None]
    if unknown:
        because = f"too few labels of class {unknown[0]} are known to tell their delay"
        return Correction(np.ones(size), np.zeros(size, dtype=np.bool_), because)
    chances = np.stack([_chance(one, ages) for one in arrivals if one is not None])
    kept: Booleans = chances.min(axis=0) >= LEAST_SHARE
    if size == 0 or kept.mean() < LEAST_KEPT:
        late = int(np.argmin(chances.mean(axis=1))) if size else 0
        because = f"labels of class {late} come too late to be told at this age"
        return Correction(np.ones(size), kept, because)
    own = chances[classes, np.arange(size)]
    return Correction(1.0 / np.maximum(own, LEAST_SHARE), kept)


def _chance(arrival: Arrival, ages: Ages) -> Floats:
    """Return the chance that a label which is there at maturity is there now."""
    at_last = arrival.share(ages.mature)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(at_last > 0, np.minimum(arrival.share(ages.now) / at_last, 1.0), 0.0)


def look_ages(delay_seconds: int, window_seconds: int) -> tuple[int, ...]:
    """Return at which ages of a closed window it is looked at before it is mature.

    As it closes, and at about each quarter of the delay, on the grid of windows: looks then need no
    moments of their own.
    """
    quarters = -(-delay_seconds // (4 * window_seconds))
    step = max(1, quarters) * window_seconds
    return tuple(range(0, delay_seconds, step))
