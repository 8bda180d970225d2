"""The paired block bootstrap: how sure a difference between two models on the same rows is.

What always holds: whole blocks of time are drawn, never rows (rows of one day share its weather and
its mistakes; a row-wise interval is far too narrow); both models are taken on the same draws; the
interval is the estimate plus and minus Student's t times the bootstrap's standard error, widened by
sqrt(n / (n - 1)) because the blocks' own mean was used (Efron & Tibshirani, An Introduction to the
Bootstrap, 1993, sections 12.2 and 13; on small n: Hesterberg, The American Statistician 69, 2015).

Blocks are days. With fewer than `MIN_DAYS` days of rows they are hours, which is too hopeful where
hours of a day are alike, so `MIN_HOURS` of them are asked for. With fewer, no interval: hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from mlreg.controller.domain.metrics import BlockMetric, Floats, Integers

MIN_DAYS = 7
MIN_HOURS = 48
MAX_UNDEFINED_SHARE = 0.01

Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows in blocks of time.

    Attributes:
        unit: how long a block is.
        index: the block of each row.
        count: the number of blocks that have rows.
    """

    unit: Literal["day", "hour"]
    index: Integers
    count: int

    @property
    def minimum(self) -> int:
        """The number of blocks below which nothing is concluded."""
        return MIN_DAYS if self.unit == "day" else MIN_HOURS

    @property
    def is_enough(self) -> bool:
        """Whether there are enough blocks to conclude anything."""
        return self.count >= self.minimum


@dataclass(frozen=True, slots=True)
class Difference:
    """What is known of a difference.

    Attributes:
        estimate: the difference on all rows.
        lower: it is above this with the confidence asked for, one-sided.
        upper: it is below this with the confidence asked for, one-sided.
    """

    estimate: float
    lower: float
    upper: float
    standard_error: float
    confidence: float
    blocks: int

    def to_json(self) -> dict[str, float | int]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def day_or_hour_blocks(times: Times) -> Blocks:
    """Return blocks of UTC days, or of hours when there are fewer than `MIN_DAYS` days."""
    days, index = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    if len(days) >= MIN_DAYS:
        return Blocks("day", index, len(days))
    hours, index = np.unique(times.astype("datetime64[h]"), return_inverse=True)
    return Blocks("hour", index, len(hours))


def draw_blocks(blocks: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return draws by blocks: how often each block is in each draw (with replacement)."""
    if blocks == 0:
        return np.zeros((draws, 0))
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(np.float64)


def paired_interval(
    better: BlockMetric, worse: BlockMetric, counts: Floats, *, blocks: int, confidence: float
) -> Difference | None:
    """Return the interval of `better - worse`, or None where it is undefined.

    Args:
        better: the metric of the one model, or of the other where less is better.
        worse: the metric of the model that it is compared with.
        counts: draws by blocks, as `draw_blocks` made them, the same for every comparison.
        blocks: the number of blocks that have rows here, 2 or more.
        confidence: of each bound alone, e.g. 0.95.
    """
    once = np.ones((1, counts.shape[1]))
    estimate = float((better.values(once) - worse.values(once))[0])
    differences = better.values(counts) - worse.values(counts)
    defined = differences[np.isfinite(differences)]
    undefined_share = 1 - len(defined) / max(1, len(differences))
    if blocks < 2 or not np.isfinite(estimate) or undefined_share > MAX_UNDEFINED_SHARE:  # noqa: PLR2004 - a spread needs two
        return None
    error = float(np.std(defined)) * float(np.sqrt(blocks / (blocks - 1)))
    reach = error * float(stdtrit(blocks - 1, confidence))
    return Difference(
        estimate=estimate,
        lower=estimate - reach,
        upper=estimate + reach,
        standard_error=error,
        confidence=confidence,
        blocks=blocks,
    )
