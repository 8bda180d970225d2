"""Outages: copies of training rows as a broken source would have delivered them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.step import (
    Step,
    TrainingRows,
    default_as_number,
    draw_share,
    places_of,
)

if TYPE_CHECKING:
    import numpy as np

    from mlreg.registry.domain.contracts import FeatureContract


class Outages(Step):
    """`{outages: [temp, wind], share: 0.1}`: copies of a share of the rows, behind them.

    In the copies these features, which fail together, stand at the contract's defaults (none:
    missing).
    """

    kind: ClassVar[str] = "outages"
    outages: tuple[str, ...] = Field(min_length=1)
    share: float = Field(gt=0, le=1)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features that it names."""
        return self.outages

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Append the copies."""
        places = places_of(self, contract, self.outages)
        copies = rows.take(draw_share(len(rows), self.share, rng))
        matrix = copies.matrix
        matrix[:, places] = [default_as_number(contract.features[place]) for place in places]
        return rows.join(replace(copies, matrix=matrix)), len(copies)
