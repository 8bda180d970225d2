"""The trainer's protocol: a matrix and a task in, a model file out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mlreg.registry.domain.contracts import FeatureContract, Task

Lane = Literal["full", "continue", "refit"]
Scalar = bool | int | float | str
Parameters = Mapping[str, Scalar | list[Scalar]]


@dataclass(frozen=True, slots=True)
class Parent:
    """The version that a stateful lane starts from; its bytes have the digest on its record."""

    model: bytes
    contract: FeatureContract


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What to train, on what, and how.

    Attributes:
        matrix: float64, rows by features in the contract's order; NaN is missing.
        labels: float64, finite; 0 or 1 for binary.
        weights: float64, or None: every row counts once.
        params: the trainer's own parameters.
        rounds: boosting rounds, or the trainer's like; in the lane `continue` those on top.
        max_trees: what `continue` may reach; None: no bound.
        decay_rate: how much of the old leaves `refit` keeps, 0 to 1.
        seed: every seed of the trainer follows from it.
        threads: fixed, because sums of floats depend on it.
    """

    task: Task
    contract: FeatureContract
    matrix: NDArray[np.float64]
    labels: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    lane: Lane
    params: Parameters
    rounds: int
    max_trees: int | None
    decay_rate: float
    seed: int
    threads: int
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Attributes:
        model: the bytes of the model file.
        params: every parameter that was used, seeds included.
        new_trees: how many of its trees this training made (`refit`: none).
    """

    model: bytes
    trees: int
    new_trees: int
    params: Mapping[str, Scalar | list[Scalar]]
    seeds: Mapping[str, int]


class Trainer(Protocol):
    """Trains and scores models of one library.

    Promises: the same task gives the same bytes on the same library and machine type; a stateful
    lane on a parent of another contract or objective is refused; nothing is read or written but
    what the arguments hold.
    """

    @property
    def name(self) -> str:
        """The trainer and the version of its library, e.g. `lightgbm/4.7.0`."""
        ...

    def train(self, task: TrainingTask) -> Trained:
        """Train a model.

        Raises:
            TrainingParameterError, ParentMismatchError, TreeBudgetError, UnsupportedTaskError,
            TrainingFailedError: see `errors.py`.
        """
        ...

    def score(
        self, model: bytes, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return one score per row (binary: the probability of the positive class)."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A trainer that can also say what each feature adds to a score."""

    @property
    def name(self) -> str:
        """As a trainer's."""
        ...

    def contributions(
        self, model: bytes, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return rows by outputs (one, or one per class) by features, in units of the raw score.

        With the model's constant they add up to the raw score of the row.
        """
        ...


@runtime_checkable
class Traced(Protocol):
    """A trainer that can also say how a model of many parts scores by its first ones."""

    def trace(
        self, model: bytes, matrix: NDArray[np.float64], *, points: int, threads: int
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield how many trees, and the scores by them alone, `points` times at most.

        The last is the whole model, whose scores are those of `score`.
        """
        ...
