"""What a data step is: declared keys, rows in, rows out, and a record of what was done."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.registry.domain.contracts import Feature, FeatureContract, FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class StepError(InvalidError):
    """A data step names something that the rows do not have, or leaves nothing to train on."""

    code = "invalid_step"

    def __init__(self, *, step: str, cause: str) -> None:
        super().__init__(f"the data step {step!r} {cause}")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Rows as a trainer sees them.

    Attributes:
        matrix: rows by features in the contract's order; categories as codes, NaN is missing.
        labels: finite.
        weights: None: every row counts once.
        groups: of a ranking, the group of each row; else None.
    """

    matrix: Floats
    labels: Floats
    weights: Floats | None = None
    groups: Places | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: Places) -> TrainingRows:
        """Return these rows, in this order; a place may come more than once."""
        return TrainingRows(
            self.matrix[places],
            self.labels[places],
            None if self.weights is None else self.weights[places],
            None if self.groups is None else self.groups[places],
        )

    def join(self, others: TrainingRows) -> TrainingRows:
        """Return these rows and the others behind them; others of the same form."""
        return TrainingRows(
            np.concatenate([self.matrix, others.matrix]),
            np.concatenate([self.labels, others.labels]),
            _joined(self.weights, others.weights),
            _joined(self.groups, others.groups),
        )

    def weigh(self, factors: Floats) -> TrainingRows:
        """Return the same rows, each counting so many times as much as before."""
        before = np.ones(len(self)) if self.weights is None else self.weights
        return replace(self, weights=before * factors)


def _joined(ours: Any, theirs: Any) -> Any:  # noqa: ANN401 - an array, or None on both sides
    return None if ours is None else np.concatenate([ours, theirs])


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step did, for the version's provenance.

    Attributes:
        rows: how many rows there were after it.
        touched: how many of them it made or changed.
        declared: its keys.
        idle: whether it made, changed and left out none.
    """

    rows: int
    touched: int
    seed: int
    declared: Mapping[str, Any] = field(default_factory=dict)
    idle: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what it declared and what it did."""
        return {**self.declared, "rows": self.rows, "touched": self.touched, "seed": self.seed}


class Step(PolicyPart):
    """One data step; a subclass is one file with typed fields, named by its first key."""

    kind: ClassVar[str]
    """The key that names it in a policy."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that it names."""
        return ()

    def reserve(self, schema: FeatureSchema) -> FeatureSchema:
        """Return the features as this step needs them; most leave them as they are."""
        return schema

    def misfits(self, schema: FeatureSchema, target: TargetContract) -> Iterator[str]:  # noqa: ARG002 - as the kinds need them
        """Yield what it asks of features or labels that they cannot give, known before any row.

        Every feature that it names is there.
        """
        yield from ()

    @abstractmethod
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Return the rows after it, and how many of them it made or changed.

        Raises:
            StepError: it names what is not there.
        """


def apply_steps(
    steps: Sequence[Step],
    rows: TrainingRows,
    contract: FeatureContract,
    seeds: Sequence[int],
) -> tuple[TrainingRows, list[StepRecord]]:
    """Apply steps in their order, each with a seed of its own.

    Raises:
        StepError: a step names what is not there, or leaves no rows.
    """
    records = []
    for step, seed in zip(steps, seeds, strict=True):
        before = len(rows)
        rows, touched = step.apply(rows, contract, np.random.default_rng(seed))
        if not len(rows):
            raise StepError(step=step.kind, cause="leaves no rows to train on")
        declared = step.model_dump(mode="json", exclude_none=True)
        idle = not touched and len(rows) == before
        records.append(StepRecord(len(rows), touched, seed, declared, idle))
    return rows, records


def places_of(step: Step, contract: FeatureContract, names: Sequence[str]) -> list[int]:
    """Return the columns of features.

    Raises:
        StepError: the contract does not have one of them.
    """
    unknown = [name for name in names if name not in contract.names]
    if unknown:
        cause = f"names {unknown[0]!r}, which the feature contract does not have"
        raise StepError(step=step.kind, cause=cause)
    return [contract.names.index(name) for name in names]


def is_label(number: float, target: TargetContract) -> bool:
    """Say whether a label can be this number: the place of a class, of a task with classes."""
    if target.task not in {"binary", "multiclass"}:
        return True
    return number in range(len(target.classes))


def draw_share(count: int, share: float, rng: np.random.Generator) -> Places:
    """Return a share of so many places, each at most once, ascending."""
    return np.sort(rng.choice(count, size=round(share * count), replace=False))


def default_as_number(feature: Feature) -> float:
    """Return a feature's default as the matrix holds it: a category's code, NaN for none."""
    if feature.default is None:
        return float("nan")
    if isinstance(feature.default, str):
        return feature.code_of(feature.default)
    return float(feature.default)
