"""Noise: numbers that are measured a little wrongly, so that no split hangs on the last digit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.steps.step import (
    Floats,
    Step,
    StepError,
    TrainingRows,
    draw_share,
    places_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.registry.domain.contracts import Feature, FeatureContract, FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract

_NUMBERS = frozenset({"float", "int"})


class Noise(Step):
    """`{noise: [temp], sigma: 0.1}`: normal noise, in standard deviations of the feature.

    The standard deviation is that of the training rows, outliers included. Missing stays missing,
    whole numbers stay whole. `noise: all` means every number; `share`: of the rows, the others stay
    as they are.
    """

    kind: ClassVar[str] = "noise"
    noise: Literal["all"] | tuple[str, ...]
    sigma: float = Field(gt=0, le=10)
    share: float = Field(default=1.0, gt=0, le=1)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features that it names."""
        return () if self.noise == "all" else tuple(self.noise)

    @override
    def misfits(self, schema: FeatureSchema, target: TargetContract) -> Iterator[str]:
        """Yield the features that are no numbers; or that it names none, and changes nothing."""
        del target
        named = self.columns or (schema.names if self.noise == "all" else ())
        numbers = [name for name in named if schema[name].dtype in _NUMBERS]
        if not self.columns and not numbers:
            yield "has no number to change"
        for name in self.columns:
            if name not in numbers:
                yield _no_number(schema[name])

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Change a share of the rows."""
        chosen = draw_share(len(rows), self.share, rng)
        matrix = rows.matrix.copy()
        for place in self._places(contract):
            column = rows.matrix[:, place]
            spread = self._spread(column, contract.features[place])
            noisy = column[chosen] + self.sigma * spread * rng.standard_normal(len(chosen))
            whole = contract.features[place].dtype == "int"
            matrix[chosen, place] = np.rint(noisy) if whole else noisy
        return replace(rows, matrix=matrix), len(chosen)

    def _spread(self, column: Floats, feature: Feature) -> float:
        """Return the standard deviation of what is known of a feature."""
        known = column[np.isfinite(column)]
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float(known.std()) if len(known) else 0.0
        if not np.isfinite(spread):
            cause = f"changes {feature.name!r}, whose numbers are too large to have a spread"
            raise StepError(step=self.kind, cause=cause)
        return spread

    def _places(self, contract: FeatureContract) -> list[int]:
        if self.noise == "all":
            features = enumerate(contract.features)
            return [place for place, one in features if one.dtype in _NUMBERS]
        places = places_of(self, contract, self.noise)
        for place in places:
            feature = contract.features[place]
            if feature.dtype not in _NUMBERS:
                raise StepError(step=self.kind, cause=_no_number(feature))
        return places


def _no_number(feature: Feature) -> str:
    return f"names {feature.name!r}, which is {feature.dtype} and no number"
