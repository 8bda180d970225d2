"""Areas between two distribution functions: in a bin, and beyond the outermost edges.

What always holds: beyond the edge a side has its share of rows, and falls straight to nothing over
its length, which ends at its minimum (or maximum); the two tails of a column are mirror images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One tail of some columns: (…, columns), the share beyond the edge, and how far it reaches."""

    shares: Floats
    lengths: Floats


def tail_area(first: Side, second: Side) -> Floats:
    """Return the integral of |f - g|, with f(x) = share (1 - x / length) down to zero."""
    long = np.where(first.shares > 0.0, first.lengths, 0.0)
    other = np.where(second.shares > 0.0, second.lengths, 0.0)
    short, far = np.minimum(long, other), np.maximum(long, other)
    at_edge = first.shares - second.shares
    inside = _at(first.shares, long, short) - _at(second.shares, other, short)
    beyond = np.abs(inside) * (far - short) / 2.0
    area: Floats = straight_area(at_edge, inside) * short + beyond
    return area


def straight_area(left: Floats, right: Floats) -> Floats:
    """Return the area under |gap| over a unit; the gap is straight and may change its sign."""
    low, high = np.abs(left), np.abs(right)
    total = low + high
    crossed = (low * low + high * high) / np.where(total > 0.0, total, 1.0)
    return np.where(left * right < 0.0, crossed, total) / 2.0


def bent_area(left: Floats, right: Floats, cut: Floats, rise: Floats) -> Floats:
    """Return how much larger the area over a unit is because the gap bends at `cut`, by `rise`."""
    middle = left + cut * (right - left) + rise
    bent = cut * straight_area(left, middle) + (1.0 - cut) * straight_area(middle, right)
    area: Floats = bent - straight_area(left, right)
    return area


def _at(shares: Floats, lengths: Floats, place: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        fallen = np.where(lengths > 0.0, place / lengths, 0.0)
    value: Floats = shares * np.maximum(1.0 - fallen, 0.0)
    return np.where(lengths > 0.0, value, 0.0)
