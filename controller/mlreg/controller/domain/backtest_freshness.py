"""The freshness curve: what a model loses by being so and so many weeks old.

Models are trained week by week, all in the same way. In each week of the history the model that is
less than a week old is held against the ones that were trained so many weeks before it, row by row
on the same rows; so a hard season does not look like age.

What always holds: whole weeks are the blocks; the intervals of all ages hold together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.backtest_frontier import (
    DRAWS,
    LEAST_BLOCKS,
    Interval95,
    together,
)
from mlreg.controller.domain.bootstrap import draw_blocks
from mlreg.controller.domain.metrics import Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

AGES = (1, 2, 4, 8)
"""In weeks."""


@dataclass(frozen=True, slots=True)
class WeekLosses:
    """The losses of one week's rows.

    Attributes:
        rows: how many (by weight).
        by_age: the mean loss of the model that is so many weeks old; 0: less than one.
    """

    rows: float
    by_age: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Aged:
    """What an age costs.

    Attributes:
        weeks: how old.
        fresh: the mean loss of the models less than a week old, in the weeks that were compared.
        lost: how much higher that of the old ones is.
        compared: in how many weeks.
    """

    weeks: int
    fresh: float
    lost: Interval95
    compared: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "weeks": self.weeks,
            "fresh": self.fresh,
            "lost": self.lost.to_json(),
            "compared": self.compared,
        }


def freshness(
    weeks: Sequence[WeekLosses], rng: np.random.Generator, ages: Sequence[int] = AGES
) -> list[Aged]:
    """Return what each age costs; ages that no model came to are left out."""
    counts = draw_blocks(len(weeks), DRAWS, rng)
    curves = [one for age in ages if (one := _curve(weeks, counts, age)) is not None]
    sure = [one for one in curves if one.compared >= LEAST_BLOCKS]
    intervals: dict[int, Interval95] = {}
    if sure:
        lost = np.array([one.lost for one in sure])
        drawn = np.stack([one.drawn for one in sure], axis=1)
        found = together(lost, drawn, min(one.compared for one in sure))
        intervals = {one.weeks: interval for one, interval in zip(sure, found, strict=True)}
    return [
        Aged(one.weeks, one.fresh, intervals.get(one.weeks, _unsure(one.lost)), one.compared)
        for one in curves
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    weeks: int
    fresh: float
    lost: float
    drawn: Floats
    compared: int


def _unsure(estimate: float) -> Interval95:
    return Interval95(estimate, None, None)


def _curve(weeks: Sequence[WeekLosses], counts: Floats, age: int) -> _Curve | None:
    """Return an age beside the fresh models on the same rows, None where no model came to it."""
    both = [0 in week.by_age and age in week.by_age for week in weeks]
    if not any(both):
        return None
    rows = np.array([week.rows if known else 0.0 for week, known in zip(weeks, both, strict=True)])
    fresh = np.array([week.by_age.get(0, 0.0) for week in weeks])
    lost = np.array([week.by_age.get(age, 0.0) for week in weeks]) - fresh
    whole = np.ones((1, len(weeks)))
    means = [float(_means(whole, rows, one)[0]) for one in (fresh, lost)]
    return _Curve(age, means[0], means[1], _means(counts, rows, lost), sum(both))


def _means(counts: Floats, rows: Floats, values: Floats) -> Floats:
    """Return the mean of each draw of weeks, not-a-number where none of them has rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = (counts @ (rows * values)) / (counts @ rows)
    return means
