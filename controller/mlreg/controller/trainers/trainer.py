"""The trainer's protocol: a matrix and a task in, a model's files out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.shards import Shard
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import Task

Lane = Literal["full", "continue", "refit"]
Scalar = bool | int | float | str
Parameters = Mapping[str, Scalar | list[Scalar]]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that was trained before; its bytes have the digests on its record.

    Attributes:
        path: its file, or the folder of its files, as its trainer wrote them.
        contract: how rows become what it reads.
    """

    path: Path
    contract: FeatureContract


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a matrix becomes numbers without gaps, for libraries that take no others.

    Attributes:
        impute: what stands for missing: the mean, the median or the most frequent value of the
            training rows, zero, or `refuse`: a missing value is an error.
        scale: whether numbers are brought to mean 0 and standard deviation 1.
        categories: one column per category (and bucket), or the code as a number.
    """

    impute: Literal["mean", "median", "most_frequent", "zero", "refuse"] = "median"
    scale: bool = True
    categories: Literal["one_hot", "codes"] = "one_hot"


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What to train, on what, and how.

    Attributes:
        matrix: float64, rows by features in the contract's order; NaN is missing.
        labels: float64, finite; 0 or 1 for binary, a class's code for multiclass, a grade from 0
            up for ranking.
        weights: float64, or None: every row counts once.
        params: the trainer's own parameters.
        rounds: boosting rounds, or the trainer's like; in the lane `continue` those on top.
        max_trees: what `continue` may reach; None: no bound.
        decay_rate: how much of the old leaves `refit` keeps, 0 to 1.
        seed: every seed of the trainer follows from it.
        threads: fixed, because sums of floats depend on it.
        parent: what a stateful lane starts from.
        classes: how many there are; 1 where labels are numbers.
        groups: of a ranking, the group of each row; the rows of a group stand together.
        estimator: what a trainer of many kinds of model is to train.
        preparation: for trainers that take no gaps.
        shard: the rows are this part of all, and others train on the rest; None: they are all.
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
    parent: StoredModel | None = None
    classes: int = 1
    groups: NDArray[np.intp] | None = None
    estimator: str | None = None
    preparation: Preparation = field(default_factory=Preparation)
    shard: Shard | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Attributes:
        trees: of how many it is made; None where it is made of none.
        new_trees: how many of its trees this training made (`refit`: none).
        params: every parameter that was used, seeds included.
        metrics: what the trainer itself measured; they are kept, and nothing is decided by them.
    """

    trees: int | None
    new_trees: int | None
    params: Mapping[str, Scalar | list[Scalar]]
    seeds: Mapping[str, int]
    metrics: Mapping[str, float] = field(default_factory=dict)


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

    def train(self, task: TrainingTask, model: Path) -> Trained:
        """Train a model and write it to a path where nothing is yet: a file, or a folder of files.

        Raises:
            TrainingParameterError, ParentMismatchError, TreeBudgetError, NoTreeGrownError,
            UnsupportedTaskError, TrainingFailedError: see `errors.py`.
        """
        ...

    def score(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return one score per row (binary: the probability of the positive class).

        Of a multiclass model, rows by classes. Whoever calls it looks whether they are finite.
        """
        ...


@runtime_checkable
class Explaining(Protocol):
    """A trainer that can also say what each feature adds to a score."""

    @property
    def name(self) -> str:
        """As a trainer's."""
        ...

    def contributions(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return rows by outputs (one, or one per class) by features, in units of the raw score.

        With the model's constant they add up to the raw score of the row.
        """
        ...


@runtime_checkable
class Traced(Protocol):
    """A trainer that can also say how a model of many parts scores by its first ones."""

    def trace(
        self, model: StoredModel, matrix: NDArray[np.float64], *, points: int, threads: int
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield how many trees, and the scores by them alone, `points` times at most.

        The last is the whole model, whose scores are those of `score`.
        """
        ...


@runtime_checkable
class OneAgainstAll(Protocol):
    """A trainer that may learn each class against all others, on its own."""

    def is_one_against_all(self, model: StoredModel) -> bool:
        """Say whether a model's probabilities of a row are independent, and add up to anything."""
        ...
