"""How wrong each prediction was: the loss by which rows are blamed, and which are called wrong.

| task | loss of a row | wrong is |
|---|---|---|
| binary | log loss | a decision at the threshold that is not the label |
| multiclass | log loss | the class with the highest score is not the label |
| regression | absolute error | the quarter of the rows with the largest errors |

What always holds: where fewer than `LEAST_WRONG` rows are wrong, or right, by decision, the quarter
with the largest losses is called wrong, and `Mistakes.split` says so. A ranking has no loss of a
row: its groups are judged as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlreg.controller.domain.metrics import Booleans, Floats, row_losses
from mlreg.controller.domain.metrics.classes import class_log_losses

if TYPE_CHECKING:
    from collections.abc import Mapping

RowLoss = Literal["log_loss", "absolute_error"]
Split = Literal["decision", "largest losses"]
LOSSES: Mapping[str, RowLoss] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "absolute_error",
}
LEAST_WRONG = 20
LARGEST = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """Labelled rows by how wrong they were.

    Attributes:
        losses: of each row.
        wrong: which rows are called wrong.
        split: by what.
        promised: the loss that the score itself leads to expect, None where it tells none: a slice
            that loses more than promised is wrong, one that loses as promised is merely hard.
    """

    losses: Floats
    wrong: Booleans
    split: Split
    promised: Floats | None


def mistakes_of(task: str, labels: Floats, scores: Floats, threshold: float) -> Mistakes:
    """Return how wrong the rows of a binary, multiclass or regression model were.

    Args:
        task: one of `LOSSES`.
        labels: finite.
        scores: finite; of a multiclass model rows by classes.
        threshold: a score of at least this decides for the positive class.
    """
    if task == "regression":
        return _by_size(row_losses("mae", labels, scores), None)
    if task == "multiclass":
        losses = class_log_losses(labels, scores)
        shares = scores / np.maximum(scores.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        promised, wrong = _entropy(shares), scores.argmax(axis=1) != labels
    else:
        losses = row_losses("log_loss", labels, scores)
        promised = _entropy(np.column_stack([scores, 1.0 - scores]))
        wrong = (scores >= threshold) != (labels > 0)
    if min(int(wrong.sum()), int((~wrong).sum())) < LEAST_WRONG:
        return _by_size(losses, promised)
    return Mistakes(losses, wrong, "decision", promised)


def score_of(task: str, scores: Floats) -> Floats:
    """Return one number of each row's score: of several classes the highest probability."""
    return scores.max(axis=1) if task == "multiclass" else scores


def _by_size(losses: Floats, promised: Floats | None) -> Mistakes:
    border = np.quantile(losses, LARGEST) if len(losses) else 0.0
    return Mistakes(losses, losses > border, "largest losses", promised)


def _entropy(shares: Floats) -> Floats:
    """Return the mean log loss of rows whose classes have these probabilities."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0.0, -shares * np.log(shares), 0.0)
    return np.asarray(terms.sum(axis=1), dtype=np.float64)
