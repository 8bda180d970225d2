"""What became of scores: for each bin of the score, how its labelled rows turned out.

Small, and mergeable: the outcomes of two sets of rows add up. Together with nothing but the counts
of a window's scores they say what its performance would be if scores meant what they have meant
(`estimation.py`).

What always holds: a binary model has one table, of its positive class; a multiclass model one for
each class against all others, in which a row is *decided* for a class if that has the highest
score. Weights of rows do not count here, for profiles have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.bins import probability_edges
from mlreg.controller.domain.metrics import Booleans, Floats, Integers
from mlreg.controller.domain.metrics.blocks import Rows
from mlreg.controller.domain.metrics.classes import class_log_losses
from mlreg.controller.domain.metrics.losses import log_losses
from mlreg.controller.domain.metrics.ordering import concordance

if TYPE_CHECKING:
    from collections.abc import Mapping

STATISTICS = (
    "rows",
    "positives",
    "hits",  # positives that are decided for
    "false",  # negatives that are decided for
    "positive_loss",  # the sum of log losses of positives
    "negative_loss",
    "positive_square",  # the sum of squared errors of positives
    "negative_square",
    "concordant",  # pairs within the bin with the positive scored higher, ties a half
    "pairs",
    "scores",  # the sum of scores
)
_AT = {name: number for number, name in enumerate(STATISTICS)}
EVEN_EDGES = probability_edges()
"""The inner edges of the bins of a class's score."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Labelled rows by bin of the score.

    Attributes:
        table: classes by bins by `STATISTICS`.
    """

    table: Floats

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.table + other.table)

    def __getitem__(self, name: str) -> Floats:
        """Return one statistic, classes by bins."""
        return self.table[..., _AT[name]]

    @property
    def rows(self) -> int:
        """How many labelled rows it stands for."""
        return int(self["rows"][0].sum())

    def to_json(self) -> dict[str, Any]:
        """Return the bins that have rows."""
        used = np.argwhere(self["rows"] > 0)
        return {
            "shape": list(self.table.shape[:2]),
            "bins": [
                [*map(int, place), *(round(float(one), 6) for one in self.table[tuple(place)])]
                for place in used
            ],
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Outcomes:
        """Read what `to_json` wrote."""
        table = np.zeros((*form["shape"], len(STATISTICS)))
        for number, place, *values in form["bins"]:
            table[number, place] = values
        return cls(table)


def bin_scores(scores: Floats, edges: Floats) -> Integers:
    """Return the bin of each score: how many edges it has reached."""
    return np.searchsorted(edges, scores, side="right").astype(np.intp)


def binary_outcomes(labels: Floats, scores: Floats, edges: Floats, threshold: float) -> Outcomes:
    """Return the outcomes of a binary model's labelled and scored rows."""
    return Outcomes(_table(labels > 0, scores, edges, (scores >= threshold, None))[None])


def class_outcomes(labels: Floats, scores: Floats) -> Outcomes:
    """Return the outcomes of a multiclass model's rows; scores are rows by classes."""
    chosen = np.argmax(scores, axis=1)
    losses = class_log_losses(labels, scores)
    tables = [
        _table(labels == number, scores[:, number], EVEN_EDGES, (chosen == number, losses))
        for number in range(scores.shape[1])
    ]
    return Outcomes(np.stack(tables))


def _table(
    positive: Booleans, scores: Floats, edges: Floats, told: tuple[Booleans, Floats | None]
) -> Floats:
    decided, given = told
    labels = positive.astype(np.float64)
    losses = log_losses(labels, scores) if given is None else given
    squares = np.square(scores - labels)
    place, bins = bin_scores(scores, edges), len(edges) + 1
    agreeing = np.diagonal(_within(labels, scores, place, bins))
    counted = {
        "rows": np.ones(len(scores)),
        "positives": labels,
        "hits": positive & decided,
        "false": ~positive & decided,
        "positive_loss": np.where(positive, losses, 0.0),
        "negative_loss": np.where(positive, 0.0, losses),
        "positive_square": np.where(positive, squares, 0.0),
        "negative_square": np.where(positive, 0.0, squares),
        "scores": scores,
    }
    sums: dict[str, Floats] = {
        name: np.bincount(place, values, bins).astype(np.float64)
        for name, values in counted.items()
    }
    sums["concordant"] = agreeing
    sums["pairs"] = sums["positives"] * (sums["rows"] - sums["positives"])
    return np.stack([sums[name] for name in STATISTICS], axis=-1)


def _within(labels: Floats, scores: Floats, place: Integers, bins: int) -> Floats:
    """Return the concordant pairs by pairs of bins; only those of one bin are wanted."""
    rows = Rows(labels, np.ones(len(labels)), place, bins)
    return concordance(rows, scores).matrix
