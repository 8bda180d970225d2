"""Upsampling: rows of which there are few come more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.where import StepOfSlice, Where, rows_where

if TYPE_CHECKING:
    from mlreg.controller.domain.steps.step import TrainingRows
    from mlreg.registry.domain.contracts import FeatureContract


class Upsample(StepOfSlice):
    """`{upsample: 3, where: {carrier: [AA, UA]}}`: rows of a class or a slice so many times.

    The copies stand behind all rows; of a fraction (2.5) the rest is drawn. Probabilities move with
    the classes that are copied: no weight takes it back, or the copies would be without effect.
    """

    kind: ClassVar[str] = "upsample"
    upsample: float = Field(gt=1, le=1_000)
    where: Where = Field(min_length=1)

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Append the copies."""
        meant = np.flatnonzero(rows_where(self, self.where, rows, contract))
        more = round((self.upsample - 1) * len(meant))
        whole = np.tile(meant, more // len(meant)) if len(meant) else meant
        rest = np.sort(rng.choice(meant, size=more - len(whole), replace=False))
        copies = np.concatenate([whole, rest]).astype(np.intp)
        return rows.join(rows.take(copies)), len(copies)
