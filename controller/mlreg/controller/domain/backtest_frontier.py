"""How policies stand beside each other: the metric of whichever model was live, and how sure it is.

What always holds: all policies are measured on the same rows and the same draws of whole blocks of
time; a block is a week where there are twelve of them, else a day, for a stale model stays stale
for weeks and its days are no independent witnesses. Intervals of differences hold for all policies
together (the largest of their studentised deviations in each draw; Romano and Wolf, Econometrica
73, 2005), so the best of a hundred is not called better by luck alone. A gain is positive where the
policy is better, whatever the metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from mlreg.controller.domain.confidence import CONFIDENCE, window_blocks
from mlreg.controller.domain.metrics import Integers, bounds_of, greater_is_better

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.bootstrap import Times
    from mlreg.controller.domain.metrics import BlockMetric, Floats, MetricName

DRAWS = 1_000
LEAST_BLOCKS = 7
BLOCKS = ((np.timedelta64(7, "D"), 12), (np.timedelta64(1, "D"), LEAST_BLOCKS))


@dataclass(frozen=True, slots=True)
class Interval95:
    """An estimate, and between what it lies with 95 % confidence; None where nobody can say."""

    estimate: float
    low: float | None
    high: float | None

    @property
    def is_above_nothing(self) -> bool:
        """Whether it is surely more than 0."""
        return self.low is not None and self.low > 0

    def to_json(self) -> dict[str, float | None]:
        """Return the fields by name."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a policy stands.

    Attributes:
        value: the metric, with its own interval.
        gain: over never retraining.
        behind: how much worse than the best policy; the best itself is 0 behind.
    """

    value: Interval95
    gain: Interval95
    behind: Interval95


@dataclass(frozen=True, slots=True)
class TimeBlocks:
    """Rows in blocks of time; `days` is how long a block is."""

    index: Integers
    count: int
    days: int

    @property
    def is_enough(self) -> bool:
        """Whether anything can be said of how sure a number is."""
        return self.count >= LEAST_BLOCKS


def blocks_of(times: Times) -> TimeBlocks:
    """Return the blocks of rows: weeks, or days where there are fewer than twelve weeks."""
    index, count = window_blocks(times, BLOCKS)
    weeks = len(np.unique(times.astype("datetime64[D]").astype(np.int64) // 7))
    return TimeBlocks(index, count, 7 if weeks >= BLOCKS[0][1] else 1)


def stand(
    metric: MetricName, measured: Mapping[str, BlockMetric], never: str, counts: Floats
) -> dict[str, Standing]:
    """Return how each policy stands.

    Args:
        metric: the metric that was measured.
        measured: it by policy, on the same rows and blocks.
        never: the policy that the others are to gain over.
        counts: draws by blocks, as `bootstrap.draw_blocks` made them.
    """
    names = list(measured)
    blocks = counts.shape[1]
    sign = 1.0 if greater_is_better(metric) else -1.0
    once = np.ones((1, blocks))
    values = np.array([measured[name].values(once)[0] for name in names])
    drawn = np.stack([measured[name].values(counts) for name in names], axis=1)
    base, best = names.index(never), int(np.nanargmax(sign * values))
    gains = together(
        sign * (values - values[base]) + 0.0, sign * (drawn - drawn[:, [base]]), blocks
    )
    behind = together(sign * (values[best] - values), sign * (drawn[:, [best]] - drawn), blocks)
    return {
        name: Standing(
            _alone(values[at], drawn[:, at], bounds_of(metric), blocks), gains[at], behind[at]
        )
        for at, name in enumerate(names)
    }


def together(estimates: Floats, drawn: Floats, blocks: int) -> list[Interval95]:
    """Return intervals of 95 % that hold for all estimates at once; none with too few blocks.

    Args:
        estimates: (k,).
        drawn: (draws, k), the same estimates on each draw of blocks.
        blocks: how many there are.
    """
    if blocks < LEAST_BLOCKS:
        return [Interval95(float(one), None, None) for one in estimates]
    error = np.nanstd(drawn, axis=0)
    moves = error > 0
    reach = np.zeros(len(estimates))
    if moves.any():
        away = np.abs(drawn[:, moves] - estimates[moves]) / error[moves]
        most = np.nanquantile(np.nanmax(away, axis=1), CONFIDENCE)
        reach = float(most) * _widened(error, blocks)
    return [
        Interval95(float(one), float(one - width) + 0.0, float(one + width))
        for one, width in zip(estimates, reach, strict=True)
    ]


def _alone(value: float, drawn: Floats, bounds: tuple[float, float], blocks: int) -> Interval95:
    if blocks < LEAST_BLOCKS or not np.isfinite(value):
        return Interval95(float(value), None, None)
    reach = float(ndtri((1 + CONFIDENCE) / 2) * _widened(np.nanstd(drawn, axis=0), blocks))
    low, high = max(bounds[0], value - reach), min(bounds[1], value + reach)
    return Interval95(float(value), float(low), float(high))


def _widened(error: Floats, blocks: int) -> Floats:
    """Return errors as few blocks ask for: their own mean was used, and their spread is a guess."""
    half = (1 + CONFIDENCE) / 2
    few = float(stdtrit(blocks - 1, half) / ndtri(half))
    return np.asarray(error * np.sqrt(blocks / (blocks - 1)) * few)


def pareto(points: Mapping[str, tuple[float, float]]) -> set[str]:
    """Return those that no other beats: (goodness, cost); none is as good and as cheap, and better.

    Equal ones are all kept.
    """
    kept = set()
    for name, (good, cost) in points.items():
        others = points.values()
        if not any(o[0] >= good and o[1] <= cost and (o[0] > good or o[1] < cost) for o in others):
            kept.add(name)
    return kept
