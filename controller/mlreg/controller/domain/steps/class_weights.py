"""Class weights: how much the rows of each class count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import field_validator
from typing_extensions import override

from mlreg.controller.domain.steps.step import (
    Floats,
    Step,
    StepError,
    TrainingRows,
    is_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.registry.domain.contracts import FeatureContract, FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract

MOST_CLASSES = 1_000


class ClassWeights(Step):
    """`{class_weights: balanced}`, or by label: `{class_weights: {"0": 1, "1": 5}}`.

    `balanced`: all classes weigh the same together (rows / (classes x rows of the class)), weights
    of rows counted. A class that is not named weighs 1.
    """

    kind: ClassVar[str] = "class_weights"
    class_weights: Literal["balanced"] | Mapping[str, float]

    @field_validator("class_weights")
    @classmethod
    def _are_positive(cls, given: str | Mapping[str, float]) -> str | Mapping[str, float]:
        if isinstance(given, str):
            return given
        for label, weight in given.items():
            if not 0 < weight < float("inf") or not _is_number(label):
                message = "must be balanced, or labels (0, 1 ...) with weights above 0"
                raise ValueError(message)
        return given

    @override
    def misfits(self, schema: FeatureSchema, target: TargetContract) -> Iterator[str]:
        """Yield the labels that are no classes of the task; or that it has none."""
        del schema
        if self.class_weights == "balanced":
            if target.task == "regression":
                yield "balances classes, and a regression has none"
            return
        if not self.class_weights:
            yield "names no label: nothing would be weighed"
        for label in self.class_weights:
            if not is_label(float(label), target):
                yield f"names the label {label!r}, and labels are 0 to {len(target.classes) - 1}"

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Weigh the rows."""
        del contract, rng
        given = self.class_weights
        factors = self._balanced(rows) if isinstance(given, str) else self._given(rows, given)
        return rows.weigh(factors), int((factors != 1).sum())

    def _balanced(self, rows: TrainingRows) -> Floats:
        labels, codes = np.unique(rows.labels, return_inverse=True)
        if len(labels) > MOST_CLASSES:
            raise StepError(
                step=self.kind, cause=f"found {len(labels)} labels, which are no classes"
            )
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights
        sums = np.bincount(codes, weights)
        factors = np.divide(
            weights.sum(), len(labels) * sums, where=sums > 0, out=np.ones(len(sums))
        )
        return np.asarray(factors[codes])

    def _given(self, rows: TrainingRows, weights: Mapping[str, float]) -> Floats:
        factors = np.ones(len(rows))
        for label, weight in weights.items():
            factors[rows.labels == float(label)] = weight
        return factors


def _is_number(label: str) -> bool:
    return label.removeprefix("-").replace(".", "", 1).isdecimal()
