"""What is to be judged: models, their scores and the labelled rows they are judged on.

What always holds: no model was trained on a row that it is judged on (`check_not_trained_on`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bootstrap import Times
from mlreg.controller.domain.metrics import Floats, Integers
from mlreg.controller.domain.metrics.priors import Prior
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.target_contract import Task

Role = Literal["challenger", "champion", "anchor", "prior"]


class TrainedOnEvaluationError(RefusedError):
    """A model would be judged on rows that it was trained on."""

    code = "trained_on_evaluation"
    hint = "Choose an evaluation window that begins after the training windows of both models."

    def __init__(self, *, role: str, version: int | None, train_end: str, start: str) -> None:
        super().__init__(
            f"the {role} (version {version}) was trained on rows up to {train_end},"
            f" and the evaluation begins at {start}"
        )


@dataclass(frozen=True, slots=True)
class Contestant:
    """A version and its scores of all rows of the trial.

    Attributes:
        version: None for a model that is not registered yet.
        scores: one per row; of a multiclass model one column per class.
        train_end: the end (exclusive) of the rows that it was trained on, if known.
    """

    version: int | None
    scores: Floats
    train_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class SliceColumn:
    """A column to cut rows by: the code of each row (-1: missing) and what the codes stand for."""

    codes: NDArray[np.integer]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgingInput:
    """What is to be judged, on which rows.

    Attributes:
        times: UTC datetime64 of each row's prediction.
        labels: NaN where no label came; codes of classes.
        weights: None: every row counts once.
        groups: of a ranking, the group of each row; below 0: none.
        classes: the names of the classes, in the order of their codes.
        slices: the columns that a gate may cut by.
        prior: what knows nothing but the challenger's training labels: their mean, of a multiclass
            model the share of each class; None: that of these very rows, which no model could know:
            harder to beat. That of a ranking is any constant.
        context: copied into the evidence as it is (snapshot digest, windows, seeds ...).
    """

    task: Task
    times: Times
    labels: Floats
    challenger: Contestant
    champion: Contestant | None = None
    anchor: Contestant | None = None
    weights: Floats | None = None
    groups: Integers | None = None
    classes: tuple[str, ...] = ()
    slices: Mapping[str, SliceColumn] = field(default_factory=dict)
    prior: Prior | None = None
    context: Mapping[str, object] = field(default_factory=dict)

    @property
    def contestants(self) -> dict[Role, Contestant]:
        """The models that take part, by role."""
        found: dict[Role, Contestant | None] = {
            "challenger": self.challenger,
            "champion": self.champion,
            "anchor": self.anchor,
        }
        return {role: one for role, one in found.items() if one is not None}


def check_not_trained_on(given: JudgingInput) -> None:
    """Check that no model was trained on rows of the trial.

    Raises:
        TrainedOnEvaluationError: one was.
    """
    if not len(given.times):
        return
    start = given.times.min()
    for role, one in given.contestants.items():
        if one.train_end is None:
            continue
        end = np.datetime64(one.train_end.replace(tzinfo=None), "us")
        if end > start:
            raise TrainedOnEvaluationError(
                role=role, version=one.version, train_end=str(end), start=str(start)
            )
