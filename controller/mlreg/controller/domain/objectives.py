"""Which objectives of LightGBM make a model of which task.

Known here, and not in the trainer alone, so that a policy is refused when it is applied: the API
never loads LightGBM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    "binary": ("binary",),
    "multiclass": ("multiclass", "multiclassova"),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"),
        *("gamma", "tweedie"),
    ),
    "ranking": ("lambdarank", "rank_xendcg"),
}
"""The objectives of each task, the first being the default."""
ALIASES = ("objective", "objective_type", "app", "application", "loss")
"""What LightGBM calls the parameter."""


def objective_problem(task: str, params: Mapping[str, object]) -> str | None:
    """Say why these parameters train no model of the task; None when they do."""
    allowed = OBJECTIVES[task]
    given = [params[name] for name in ALIASES if name in params]
    if all(one in allowed for one in given):
        return None
    return f"must be one of {', '.join(allowed)} for a {task} model"
