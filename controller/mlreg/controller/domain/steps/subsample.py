"""Subsampling: fewer of the rows of which there are more than enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.step import TrainingRows, draw_share
from mlreg.controller.domain.steps.where import StepOfSlice, rows_where

if TYPE_CHECKING:
    from mlreg.registry.domain.contracts import FeatureContract


class Subsample(StepOfSlice):
    """`{subsample: 0.2, where: {label: 0}}`: keep a share of the rows of a class or a slice.

    `where` left out means all rows. With `reweight` those that are kept count for those that are
    not (1 / share), so that probabilities stay calibrated; without it they do not.
    """

    kind: ClassVar[str] = "subsample"
    subsample: float = Field(gt=0, lt=1)
    reweight: bool = True

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Leave rows out; the others keep their order."""
        meant = rows_where(self, self.where, rows, contract)
        candidates = np.flatnonzero(meant)
        kept = np.zeros(len(rows), dtype=np.bool_)
        kept[candidates[draw_share(len(candidates), self.subsample, rng)]] = True
        if self.reweight:
            rows = rows.weigh(np.where(meant, 1 / self.subsample, 1.0))
        return rows.take(np.flatnonzero(kept | ~meant)), int(kept.sum())
