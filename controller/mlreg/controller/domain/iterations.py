"""Model iterations and data iterations: may what was trained before be continued?

What always holds: a *data iteration* is the same model on newer rows, and may be stateful; another
feature contract, another trainer or another objective makes a *model iteration*, which is trained
in full. What is found here is found before a run begins; the trainer's child looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.objectives import ALIASES, OBJECTIVES
from mlreg.controller.domain.steps.step import StepError
from mlreg.registry.domain.contracts import (
    ContractMismatchError,
    FeatureContract,
    FeatureSchema,
    check_contract,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.policy import RetrainRule
    from mlreg.registry.domain.target_contract import Task


@dataclass(frozen=True, slots=True)
class Ancestor:
    """What is to be continued.

    Attributes:
        trainer, command: who made it, and by which declared program.
        objective: what it was trained for, None where that is not known.
    """

    contract: FeatureContract
    trainer: str
    command: str | None = None
    objective: str | None = None


def model_iteration(
    rule: RetrainRule, task: Task, schema: FeatureSchema | None, ancestor: Ancestor
) -> str | None:
    """Say what makes this another model than its ancestor; None for a data iteration."""
    if (ancestor.trainer, ancestor.command) != (rule.trainer, rule.command):
        return f"the trainer was {_spell(ancestor.trainer, ancestor.command)}"
    change = contract_change(rule, schema, ancestor.contract)
    if change is not None:
        return f"another feature contract: {change}"
    if rule.trainer == "lightgbm" and ancestor.objective is not None:
        wanted = objective_of(rule.params, task)
        if wanted != ancestor.objective:
            return f"the objective was {ancestor.objective}, and is {wanted}"
    return None


def contract_change(
    rule: RetrainRule, schema: FeatureSchema | None, contract: FeatureContract
) -> str | None:
    """Say what of a contract is no longer what the model declares, or the data steps need."""
    try:
        if schema is not None:
            check_contract(contract, schema)
        reserved: FeatureSchema = contract
        for step in rule.steps:
            reserved = step.reserve(reserved)
    except (ContractMismatchError, StepError) as error:
        return str(error)
    if reserved.features == contract.features:
        return None
    pairs = zip(contract.features, reserved.features, strict=True)
    first = next(one.name for one, other in pairs if one != other)
    return f"a data step reserves other codes of {first!r}"


def objective_of(params: Mapping[str, Any], task: Task) -> str:
    """Return the objective that these parameters of LightGBM train for."""
    given = [params[name] for name in ALIASES if name in params]
    return str(given[0]) if given else OBJECTIVES[task][0]


def _spell(trainer: str, command: str | None) -> str:
    return trainer if command is None else f"{trainer} {command}"
