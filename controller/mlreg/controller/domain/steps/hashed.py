"""Hashed categories: codes in reserve for values that the contract does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import override

from mlreg.client.scoring.encoding import bucket_of
from mlreg.controller.domain.steps.step import (
    Step,
    StepError,
    TrainingRows,
    draw_share,
    places_of,
)
from mlreg.registry.domain.contracts import MAX_BUCKETS

if TYPE_CHECKING:
    import numpy as np

    from mlreg.registry.domain.contracts import Feature, FeatureContract, FeatureSchema


class Hashed(Step):
    """`{hashed: [carrier], buckets: 16, share: 0.05}`: a value never seen is one of K codes.

    The contract reserves `buckets` codes behind the known ones, and an unknown value takes the code
    of its hash, when training as when serving. So that the model knows what a bucket is worth,
    copies of a share of the rows are appended in which each of these features is in the bucket of
    its value.
    """

    kind: ClassVar[str] = "hashed"
    hashed: tuple[str, ...] = Field(min_length=1)
    buckets: int = Field(default=16, ge=1, le=MAX_BUCKETS)
    share: float = Field(default=0.05, gt=0, le=1)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The features that it names."""
        return self.hashed

    @override
    def reserve(self, schema: FeatureSchema) -> FeatureSchema:
        """Return the features, these with their buckets.

        Raises:
            StepError: one is no category.
        """
        for name in self.hashed:
            if name in schema.names and schema[name].dtype != "category":
                cause = f"names {name!r}, which is {schema[name].dtype} and no category"
                raise StepError(step=self.kind, cause=cause)
        return replace(schema, features=tuple(map(self._reserved, schema.features)))

    def _reserved(self, feature: Feature) -> Feature:
        if feature.name not in self.hashed:
            return feature
        return replace(feature, unseen="hash", buckets=self.buckets)

    @override
    def apply(
        self, rows: TrainingRows, contract: FeatureContract, rng: np.random.Generator
    ) -> tuple[TrainingRows, int]:
        """Append the copies."""
        places = places_of(self, contract, self.hashed)
        copies = rows.take(draw_share(len(rows), self.share, rng))
        for place in places:
            feature = contract.features[place]
            known = feature.categories or ()
            code_of_bucket = {
                float(code): float(len(known) + bucket_of(value, feature.buckets))
                for code, value in enumerate(known)
            }
            column = copies.matrix[:, place]
            copies.matrix[:, place] = [code_of_bucket.get(one, one) for one in column]
        return rows.join(copies), len(copies)
