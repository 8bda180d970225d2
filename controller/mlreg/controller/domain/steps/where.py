"""Which rows a step is about: those of a class, or of a slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.step import Step, StepError, TrainingRows, places_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.registry.domain.contracts import FeatureContract

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
            numbers = [_number(step, name, one, contract) for one in values]
        meant &= np.isin(column, numbers)
    return meant


def _label(step: Step, value: Value) -> float:
    if isinstance(value, str):
        raise StepError(step=step.kind, cause=f"asks for the label {value!r}; labels are numbers")
    return float(value)


def _number(step: Step, name: str, value: Value, contract: FeatureContract) -> float:
    """Return a value as the matrix holds it."""
    feature = contract[name]
    if feature.dtype != "category":
        if isinstance(value, str):
            cause = f"asks for {name}: {value!r}, and that feature is {feature.dtype}"
            raise StepError(step=step.kind, cause=cause)
        return float(value)
    code = feature.code_of(str(value))
    if np.isnan(code):
        raise StepError(step=step.kind, cause=f"asks for {name}: {value!r}, no category of it")
    return code
