"""The field's metrics per task, kept by block of rows: a resample is a small matrix product.

| task | metrics |
|---|---|
| binary | auc, log_loss, brier, accuracy, f1, precision, recall, calibration_error, bias |
| multiclass | log_loss, brier, accuracy, macro_f1, macro_auc |
| regression | rmse, mae, mape, pinball, bias |
| ranking | ndcg, map, mrr |

What always holds: a metric of a resample of blocks is exact, the same as if the rows of its blocks
were written out again and again (`calibration_error`: in the bins of all rows). What is undefined
(no rows, one class, no predicted positive) is NaN. One file per family; this one knows them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlreg.controller.domain.metrics.blocks import (
    BlockMetric,
    Booleans,
    Floats,
    Integers,
    MeanLoss,
    Rows,
)
from mlreg.controller.domain.metrics.calibration import bias, calibration_error
from mlreg.controller.domain.metrics.classes import class_metric
from mlreg.controller.domain.metrics.decided import DECIDED, decided
from mlreg.controller.domain.metrics.losses import mean_loss, row_losses
from mlreg.controller.domain.metrics.ordering import Concordance, concordance
from mlreg.controller.domain.metrics.ranking import ORDERS, USUAL_PLACES, ranking_metric

__all__ = [
    "BlockMetric",
    "Booleans",
    "Concordance",
    "Floats",
    "Integers",
    "MeanLoss",
    "MetricName",
    "Options",
    "Rows",
    "bounds_of",
    "concordance",
    "greater_is_better",
    "measure",
    "row_losses",
]

MetricName = Literal[
    "auc",
    "log_loss",
    "brier",
    "accuracy",
    "f1",
    "precision",
    "recall",
    "calibration_error",
    "bias",
    "macro_f1",
    "macro_auc",
    "rmse",
    "mae",
    "mape",
    "pinball",
    "ndcg",
    "map",
    "mrr",
]
OF_TASK: dict[str, tuple[MetricName, ...]] = {
    "binary": (
        "auc",
        "log_loss",
        "brier",
        "accuracy",
        "f1",
        "precision",
        "recall",
        "calibration_error",
    ),
    "multiclass": ("log_loss", "brier", "accuracy", "macro_f1", "macro_auc"),
    "regression": ("rmse", "mae", "mape", "pinball"),
    "ranking": ("ndcg", "map", "mrr"),
}
"""The metrics by which two models of a task are compared, the first being its main one."""

WATCHED_OF_TASK: dict[str, tuple[MetricName, ...]] = {
    **OF_TASK,
    "binary": (*OF_TASK["binary"], "bias"),
    "regression": (*OF_TASK["regression"], "bias"),
}
"""The metrics that are read of every labelled window; a bias is best at 0, so no gate compares."""

_GREATER = frozenset({"auc", *DECIDED, "macro_f1", "macro_auc", *ORDERS})
_SHARES = frozenset({*_GREATER, "brier", "calibration_error"})


@dataclass(frozen=True, slots=True)
class Options:
    """What some metrics need to be told.

    Attributes:
        threshold: a score of at least this is a decision for the positive class.
        quantile: what a regression's score claims to be, for `pinball`.
        at: how many places of a ranking count, for `ndcg` and `map`.
    """

    threshold: float = 0.5
    quantile: float = 0.5
    at: int = USUAL_PLACES


USUAL = Options()


def greater_is_better(metric: MetricName) -> bool:
    """Say whether a higher value of the metric is a better model."""
    return metric in _GREATER


def bounds_of(metric: MetricName) -> tuple[float, float]:
    """Return the least and the greatest value that the metric can take."""
    if metric == "bias":
        return -float("inf"), float("inf")
    return 0.0, 1.0 if metric in _SHARES else float("inf")


def measure(
    metric: MetricName, rows: Rows, scores: Floats, options: Options = USUAL
) -> BlockMetric:
    """Return a metric of these scores by block.

    Args:
        metric: its name.
        rows: labels, weights, blocks; groups for a ranking.
        scores: one per row; of a multiclass model one column per class.
        options: threshold, quantile, places.
    """
    family = _family("classes" if scores.ndim > 1 else metric)
    return family(metric, rows, scores, options)


Family = Callable[[MetricName, Rows, Floats, Options], BlockMetric]


def _family(metric: str) -> Family:
    """Return the function that measures a metric and its like."""
    if metric in DECIDED:
        return lambda name, rows, scores, told: decided(name, rows, scores >= told.threshold)
    return _FAMILIES.get(
        metric, lambda name, rows, scores, told: mean_loss(name, rows, scores, told.quantile)
    )


_FAMILIES: dict[str, Family] = {
    "auc": lambda _name, rows, scores, _told: concordance(rows, scores),
    "calibration_error": lambda _name, rows, scores, _told: calibration_error(rows, scores),
    "bias": lambda _name, rows, scores, _told: bias(rows, scores),
    **dict.fromkeys(
        ORDERS, lambda name, rows, scores, told: ranking_metric(name, rows, scores, told.at)
    ),
    "classes": lambda name, rows, scores, _told: class_metric(name, rows, scores),
}
