"""What a policy must have in common with its model, and with what is installed here."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from mlreg.controller.domain.objectives import objective_problem
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.steps.step import StepError
from mlreg.controller.domain.trainer_kinds import ENTRY_POINTS, MODEL_FILES
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.policy import Policy
    from mlreg.registry.store.tables import Model


def check_policy(policy: Policy, model: Model) -> None:
    """Check all that a run would be refused for, as far as it is known before one.

    Raises:
        InvalidPolicyError: with every problem.
    """
    problems = [*_of_columns(policy, model), *_of_trainer(policy, model)]
    if problems:
        raise InvalidPolicyError(problems=problems)


def _of_columns(policy: Policy, model: Model) -> Iterator[str]:
    """Yield which columns the policy names that are no features of the model."""
    schema = catalog.feature_schema_of(model)
    if schema is None:
        return
    named = set(policy.retrain.columns)
    named.update(*(trigger.columns for trigger in policy.triggers))
    named.update(*(gate.columns for gate in policy.gates))
    unknown = sorted(named - set(schema.names))
    if unknown:
        yield f"model {model.name!r} has no feature {', '.join(map(repr, unknown))}"
        return
    try:
        for step in policy.retrain.steps:
            schema = step.reserve(schema)
    except StepError as error:
        yield f"retrain.steps: {error}"


def _of_trainer(policy: Policy, model: Model) -> Iterator[str]:
    """Yield why the trainer is none, or trains no model of this task."""
    rule = policy.retrain
    known = [*MODEL_FILES, *sorted(point.name for point in entry_points(group=ENTRY_POINTS))]
    if rule.trainer not in known:
        yield f"retrain.trainer: there is no trainer {rule.trainer!r}; there are {', '.join(known)}"
    if rule.trainer == "lightgbm":
        problem = objective_problem(model.task, rule.params)
        if problem is not None:
            yield f"retrain.params.objective: {problem}"
    if rule.trainer == "sklearn" and model.task == "ranking":
        yield "retrain.trainer: scikit-learn makes no ranking models"
