"""How sure the metric of one window is: a block bootstrap over pieces of its time.

What always holds: whole blocks are drawn, never rows (rows of one hour share their weather and
their mistakes); the interval is the value plus and minus Student's t times the bootstrap's standard
error, widened by sqrt(n / (n - 1)), as in `bootstrap.py`, and cut off where the metric cannot go.
Below `MIN_BLOCKS` blocks with labelled rows there is no interval.

Blocks are days where there are a week of them, else hours, else five minutes: the longest that make
enough. The interval is about the model under the conditions of this very window; that other days
differ is what the next windows show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from mlreg.controller.domain.bootstrap import MAX_UNDEFINED_SHARE, MIN_DAYS, Times

if TYPE_CHECKING:
    from mlreg.controller.domain.metrics import BlockMetric, Floats, Integers

MIN_BLOCKS = 12
DRAWS = 400
CONFIDENCE = 0.95
Lengths = Sequence[tuple[np.timedelta64, int]]
_LENGTHS: Lengths = (
    (np.timedelta64(1, "D"), MIN_DAYS),
    (np.timedelta64(1, "h"), MIN_BLOCKS),
    (np.timedelta64(5, "m"), MIN_BLOCKS),
)


def window_blocks(times: Times, lengths: Lengths = _LENGTHS) -> tuple[Integers, int]:
    """Return the block of each row, and how many blocks have rows: the longest that are enough.

    With too few of any length the rows are one block.

    Args:
        times: of the rows.
        lengths: of blocks, the longest first, and how many of each are enough.
    """
    stamps = times.astype("datetime64[us]").astype(np.int64)
    for length, least in lengths:
        pieces, index = np.unique(
            stamps // int(length / np.timedelta64(1, "us")), return_inverse=True
        )
        if len(pieces) >= least:
            return index.astype(np.intp), len(pieces)
    return np.zeros(len(times), dtype=np.intp), 1


def interval_of(
    measured: BlockMetric, counts: Floats, bounds: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the interval of 95 % of a metric, or None where there are too few blocks for one.

    Args:
        measured: the metric by block.
        counts: draws by blocks, as `draw_blocks` made them.
        bounds: the least and the greatest value the metric can take.
    """
    blocks = counts.shape[1]
    value = float(measured.values(np.ones((1, blocks)))[0])
    if blocks < MIN_DAYS or not np.isfinite(value):
        return None
    drawn = measured.values(counts)
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - MAX_UNDEFINED_SHARE) * len(drawn):
        return None
    error = float(np.std(defined)) * float(np.sqrt(blocks / (blocks - 1)))
    reach = error * float(stdtrit(blocks - 1, (1 + CONFIDENCE) / 2))
    return max(bounds[0], value - reach), min(bounds[1], value + reach)
