"""Performance before labels: what a window's scores say of themselves, once they are calibrated.

Confidence-based performance estimation: if the share of positives at each score is what it was
among labelled rows, the expected counts of true and false positives, and with them every metric,
follow from the scores alone (NannyML's CBPE; Guillory and others, "Predicting with confidence on
unseen distributions", ICCV 2021). Here it needs no row: the outcomes of matured windows, by bin of
the score (`outcomes.py`), and how many scores of the window fall into each.

It is blind to pure concept drift, by construction: when the meaning of the same features changes
and the scores do not, the estimate stays where it was and the truth does not. It is an estimate,
and never stands for labels.

What always holds: bins with few labelled rows lean on the score itself; the interval holds the
error of the calibration (windows drawn again with replacement, or the spread of shares where there
are fewer than `MIN_WINDOWS`) and the chance of the window's own labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.bootstrap import draw_blocks
from mlreg.controller.domain.metrics import Floats, Integers
from mlreg.controller.domain.outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAWS = 200
MIN_WINDOWS = 7
MIN_ROWS = 200
MIN_OF_CLASS = 20
CERTAIN = 1e-6
LEAN = 2.0
"""How many rows the score itself counts for in the share of positives of a bin."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimated metric with its interval of 95 %."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """How many scores of a window fall into each bin.

    Attributes:
        counts: classes by bins.
        middles: by bins, what a score in it says.
        threshold: from which score on a row is decided for; None: for the highest of all classes.
    """

    counts: Integers
    middles: Floats
    threshold: float | None = 0.5


def middles_of(edges: Floats) -> Floats:
    """Return what a score in each bin says: the middle of its edges, but neither 0 nor 1."""
    bounds = np.concatenate([[0.0], edges, [1.0]])
    middles: Floats = np.clip((bounds[:-1] + bounds[1:]) / 2, CERTAIN, 1.0 - CERTAIN)
    return middles


def estimate(
    history: Sequence[Outcomes], window: ScoreCounts, rng: np.random.Generator
) -> list[Estimate]:
    """Return the estimated metrics of a window; none without enough history or rows.

    Args:
        history: the outcomes of matured windows.
        window: the scores of the window.
        rng: draws the interval.
    """
    pooled = Outcomes(np.sum([one.table for one in history], axis=0)) if history else None
    if pooled is None or not _is_enough(pooled) or not window.counts[0].sum():
        return []
    expected = _Expected(window, pooled.table[None])
    once = expected.metrics(window.counts * expected.shares)
    tables, shares = _drawn_calibration(history, pooled, window, rng)
    drawn = _Expected(window, tables)
    chances = np.clip(drawn.shares if shares is None else shares, 0.0, 1.0)
    labels = rng.binomial(window.counts, np.broadcast_to(chances, (DRAWS, *window.counts.shape)))
    spread = drawn.metrics(labels.astype(np.float64))
    return [
        Estimate(metric, float(value[0]), *_interval(float(value[0]), spread[metric]))
        for metric, value in once.items()
        if np.isfinite(value[0])
    ]


def _is_enough(pooled: Outcomes) -> bool:
    positives, rows = pooled["positives"].sum(axis=1), pooled["rows"].sum(axis=1)
    fewest = min(positives.min(), (rows - positives).min())
    return bool(rows[0] >= MIN_ROWS and fewest >= MIN_OF_CLASS)


def _drawn_calibration(
    history: Sequence[Outcomes], pooled: Outcomes, window: ScoreCounts, rng: np.random.Generator
) -> tuple[Floats, Floats | None]:
    """Return outcomes drawn again, draws by classes by bins by statistics, or drawn shares."""
    if len(history) < MIN_WINDOWS:
        lean = LEAN * window.middles
        negatives = pooled["rows"] - pooled["positives"]
        shape = (DRAWS, *window.counts.shape)
        drawn = rng.beta(pooled["positives"] + lean, negatives + LEAN - lean, size=shape)
        return pooled.table[None], drawn
    times = draw_blocks(len(history), DRAWS, rng)
    return np.tensordot(times, np.stack([one.table for one in history]), axes=1), None


class _Expected:
    """What is expected of each bin, for each of some draws of the outcomes."""

    def __init__(self, window: ScoreCounts, tables: Floats) -> None:
        self.window = window
        said, outcomes = window.middles, Outcomes(tables)
        self.positives, self.rows = outcomes["positives"], outcomes["rows"]
        self.negatives = self.rows - self.positives
        least = 0.5 if window.threshold is None else window.threshold
        decided = (said >= least).astype(np.float64)
        self.shares = (self.positives + LEAN * said) / (self.rows + LEAN)
        self.hit = self._mean(outcomes["hits"], self.positives, decided)
        self.false = self._mean(outcomes["false"], self.negatives, decided)
        self.positive_loss = self._mean(outcomes["positive_loss"], self.positives, -np.log(said))
        self.negative_loss = self._mean(outcomes["negative_loss"], self.negatives, -np.log1p(-said))
        self.positive_square = self._mean(
            outcomes["positive_square"], self.positives, np.square(1 - said)
        )
        self.negative_square = self._mean(
            outcomes["negative_square"], self.negatives, np.square(said)
        )
        self.agreeing = (outcomes["concordant"] + 0.5) / (outcomes["pairs"] + 1.0)

    @staticmethod
    def _mean(sums: Floats, rows: Floats, otherwise: Floats) -> Floats:
        """Return a mean by bin that leans, by one row, on what the score says."""
        return (sums + otherwise) / (rows + 1.0)

    def metrics(self, positives: Floats) -> dict[str, Floats]:
        """Return each metric for each draw of positives (draws by classes by bins)."""
        negatives = self.window.counts - positives
        hits, false = (positives * self.hit).sum(axis=2), (negatives * self.false).sum(axis=2)
        wanted = positives.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = 2 * hits / (hits + false + wanted)
            auc = self._auc(positives, negatives)
            if self.window.threshold is None:
                return self._of_classes(positives, hits, f1, auc)
            rows = self.window.counts.sum()
            losses = positives * self.positive_loss + negatives * self.negative_loss
            squares = positives * self.positive_square + negatives * self.negative_square
            found = {
                "auc": auc,
                "log_loss": losses.sum(axis=2) / rows,
                "brier": squares.sum(axis=2) / rows,
                "accuracy": (hits + (rows - wanted) - false) / rows,
                "f1": f1,
                "precision": hits / (hits + false),
                "recall": hits / wanted,
            }
        return {metric: values[:, 0] for metric, values in found.items()}

    def _of_classes(
        self, positives: Floats, hits: Floats, f1: Floats, auc: Floats
    ) -> dict[str, Floats]:
        rows = positives.sum(axis=(1, 2))  # estimated class by class: about those of the window
        negatives = self.window.counts - positives
        squares = positives * self.positive_square + negatives * self.negative_square
        return {
            "log_loss": (positives * self.positive_loss).sum(axis=(1, 2)) / rows,
            "brier": squares.sum(axis=(1, 2)) / 2 / rows,
            "accuracy": hits.sum(axis=1) / rows,
            "macro_f1": f1.mean(axis=1),
            "macro_auc": auc.mean(axis=1),
        }

    def _auc(self, positives: Floats, negatives: Floats) -> Floats:
        below = np.cumsum(negatives, axis=2) - negatives
        agreeing = (positives * (below + negatives * self.agreeing)).sum(axis=2)
        found: Floats = agreeing / (positives.sum(axis=2) * negatives.sum(axis=2))
        return found


def _interval(value: float, drawn: Floats) -> tuple[float, float]:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined):
        return value, value
    low, high = np.quantile(defined, [0.025, 0.975])
    return min(value, float(low)), max(value, float(high))
