"""The share of some rows of which something is true, and how sure it is.

The interval takes rows to be independent of each other. That is right for faults of a pipeline,
which hit rows or miss them; it is too narrow for performance, which is measured in blocks
(`confidence.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95
_Z = float(ndtri((1 + CONFIDENCE) / 2))


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some rows differ, with the 95 % interval of their share."""

    rows: int
    differ: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, differ: NDArray[np.bool_]) -> Share:
        """Count; the interval is Wilson's."""
        count, rows = int(np.count_nonzero(differ)), len(differ)
        low, high = wilson(count, rows)
        return cls(rows, count, count / rows if rows else 0.0, low, high)

    def is_above(self, at_most: float) -> bool:
        """Say whether the share is surely more than that."""
        return self.low > at_most


def wilson(count: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent rows; 0 to 1 where there are none.

    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not rows:
        return 0.0, 1.0
    share, square = count / rows, _Z**2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    spread = share * (1 - share) / rows + square / (4 * rows**2)
    half = _Z * spread**0.5 / (1 + square / rows)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return low if count else 0.0, high if count < rows else 1.0
