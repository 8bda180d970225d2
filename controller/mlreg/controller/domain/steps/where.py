"""Which rows a step is about: those of a class, or of a slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.step import (
    Step,
    StepError,
    TrainingRows,
    is_label,
    places_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mlreg.registry.domain.contracts import Feature, FeatureContract, FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract

LABEL = "label"
Value = bool | int | float | str
Where = Mapping[str, Value | list[Value]]
"""Column → the value or values that it may have; `label` is the label. All must hold."""


class StepOfSlice(Step):
    """A step that is about the rows of a class or of a slice; `where` left out means all rows."""

    where: Where = Field(default_factory=dict)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features that it names."""
        return tuple(name for name in self.where if name != LABEL)

    @override
    def misfits(self, schema: FeatureSchema, target: TargetContract) -> Iterator[str]:
        """Yield the values that no row can have, so that the slice is empty."""
        for name, given in self.where.items():
            values = given if isinstance(given, list) else [given]
            if not values:
                yield f"asks for {name}: [], which no row has"
            for value in values:
                problem = (
                    _problem_of_label(value, target)
                    if name == LABEL
                    else _problem_of_value(value, schema[name]) or _never(value, schema[name])
                )
                if problem:
                    yield problem


def rows_where(
    step: Step, where: Where, rows: TrainingRows, contract: FeatureContract
) -> NDArray[np.bool_]:
    """Say of each row whether it is meant.

    Raises:
        StepError: a column or a category that the contract does not have.
    """
    meant = np.ones(len(rows), dtype=np.bool_)
    for name, given in where.items():
        values = given if isinstance(given, list) else [given]
        if name == LABEL:
            column, numbers = rows.labels, [_label(step, one) for one in values]
        else:
            (place,) = places_of(step, contract, [name])
            column = rows.matrix[:, place]
            numbers = [_number(step, contract[name], one) for one in values]
        meant &= np.isin(column, numbers)
    return meant


def _label(step: Step, value: Value) -> float:
    if isinstance(value, str):
        raise StepError(step=step.kind, cause=_no_label(value))
    return float(value)


def _no_label(value: str) -> str:
    return f"asks for the label {value!r}; labels are numbers"


def _problem_of_label(value: Value, target: TargetContract) -> str:
    if isinstance(value, str):
        return _no_label(value)
    if is_label(value, target):
        return ""
    return f"asks for the label {value:g}, and labels are 0 to {len(target.classes) - 1}"


def _number(step: Step, feature: Feature, value: Value) -> float:
    """Return a value as the matrix holds it."""
    problem = _problem_of_value(value, feature)
    if problem:
        raise StepError(step=step.kind, cause=problem)
    return feature.code_of(str(value)) if feature.dtype == "category" else float(value)


def _problem_of_value(value: Value, feature: Feature) -> str:
    """Say why no row has this value; empty where one may."""
    asked = f"asks for {feature.name}: {value!r}"
    if feature.dtype == "category":
        is_open = feature.categories is None or str(value) in feature.categories
        return "" if is_open else f"{asked}, no category of it"
    return f"{asked}, and that feature is {feature.dtype}" if isinstance(value, str) else ""


def _never(value: Value, feature: Feature) -> str:
    """Say that a feature of whole numbers, or of yes and no, never has this number."""
    if isinstance(value, str) or feature.dtype not in {"int", "bool"}:
        return ""
    is_possible = value in {0, 1} if feature.dtype == "bool" else value == int(value)
    return "" if is_possible else f"asks for {feature.name}: {value!r}, and it is {feature.dtype}"
