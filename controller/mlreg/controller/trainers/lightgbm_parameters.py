"""LightGBM's parameters as a policy gives them: under their main names, checked, with ours.

What always holds: no caller sets what follows from the task or from what the trainer promises, and
none of what LightGBM itself would not survive gets through. Needs no LightGBM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.objectives import OBJECTIVES, objective_problem
from mlreg.controller.domain.parameter_rules import OURS_OF_LIGHTGBM
from mlreg.controller.trainers.errors import TrainingParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlreg.controller.trainers.trainer import TrainingTask
    from mlreg.registry.domain.contracts import FeatureContract

MONOTONE = "monotone_constraints"
PER_FEATURE = frozenset({MONOTONE, "feature_contri", "max_bin_by_feature"})
"""Parameters with a value for each feature."""


def resolve_parameters(
    task: TrainingTask, aliases_of: Mapping[str, Iterable[str]]
) -> dict[str, Any]:
    """Return the parameters under LightGBM's main names, with ours.

    Args:
        task: what is to be trained.
        aliases_of: LightGBM's parameters, each with its other names.

    Raises:
        TrainingParameterError: unknown, given twice, not the caller's to set, or of another task.
    """
    given = _main_names(task.params, aliases_of)
    problem = objective_problem(task.task, given)
    if problem is not None:
        raise TrainingParameterError(parameter="objective", cause=problem)
    _check_per_feature(given, task.contract)
    objective = given.pop("objective", OBJECTIVES[task.task][0])
    return {
        **given,
        **({"num_class": task.classes} if task.task == "multiclass" else {}),
        "objective": objective,
        "metric": "none",
        "boosting": "gbdt",
        "boost_from_average": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": task.threads,
        "verbosity": -1,
    }


def _check_per_feature(given: Mapping[str, Any], contract: FeatureContract) -> None:
    """Check lists of a value for each feature: of a short one LightGBM reads beyond its end."""
    for name in PER_FEATURE & given.keys():
        value = given[name]
        values = value if isinstance(value, list) else str(value).split(",")
        if len(values) != len(contract.features):
            cause = f"has {len(values)} values for {len(contract.features)} features"
            raise TrainingParameterError(parameter=name, cause=cause)
        if name == MONOTONE:
            _check_monotone(values, contract)


def _check_monotone(values: Sequence[object], contract: FeatureContract) -> None:
    for feature, value in zip(contract.features, values, strict=True):
        if feature.dtype == "category" and str(value).strip() not in {"0", "0.0"}:
            cause = f"must be 0 for the category {feature.name!r}"
            raise TrainingParameterError(parameter=MONOTONE, cause=cause)


def _main_names(
    params: Mapping[str, Any], aliases_of: Mapping[str, Iterable[str]]
) -> dict[str, Any]:
    main = {alias: name for name, aliases in aliases_of.items() for alias in (name, *aliases)}
    found: dict[str, Any] = {}
    for key, value in params.items():
        name = main.get(key)
        if name is None:
            raise TrainingParameterError(parameter=key, cause="is not known to LightGBM")
        if name in OURS_OF_LIGHTGBM:
            raise TrainingParameterError(parameter=key, cause="is set by mlreg itself")
        if name in found:
            raise TrainingParameterError(parameter=key, cause=f"is given twice ({name})")
        found[name] = value
    return found
