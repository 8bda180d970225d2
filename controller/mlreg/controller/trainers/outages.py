"""Outage augmentation: copies of training rows as a broken source would have delivered them.

What always holds: the copies stand behind the rows that they are copies of, in training data only
(never where models are judged or profiles made); which rows are copied follows from a recorded
seed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.trainers.errors import TrainingParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlreg.registry.domain.contracts import Feature, FeatureContract


@dataclass(frozen=True, slots=True)
class Augmented:
    """What was appended, for the version's provenance."""

    rows: int
    features: tuple[str, ...]
    share: float
    seed: int

    def to_json(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


def copy_with_defaults(
    matrix: NDArray[np.float64],
    contract: FeatureContract,
    features: Sequence[str],
    *,
    share: float,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.intp], Augmented]:
    """Return corrupted copies, the numbers of the rows that they copy, and the record of it.

    Args:
        matrix: rows by features in the contract's order.
        contract: says what each feature's default is (none: missing).
        features: those that the source delivers, which fail together.
        share: of the rows, 0 to 1.
        seed: chooses the rows.

    Raises:
        TrainingParameterError: a feature is not in the contract.
    """
    unknown = [name for name in features if name not in contract.names]
    if unknown:
        cause = f"names {unknown[0]!r}, which the feature contract does not have"
        raise TrainingParameterError(parameter="outages.features", cause=cause)
    rng = np.random.default_rng(seed)
    size = round(share * len(matrix))
    chosen = np.sort(rng.choice(len(matrix), size=size, replace=False))
    copies = matrix[chosen]
    for name in features:
        copies[:, contract.names.index(name)] = default_as_number(contract[name])
    return copies, chosen, Augmented(size, tuple(features), share, seed)


def default_as_number(feature: Feature) -> float:
    """Return a feature's default as the matrix holds it: a category's code, NaN for none."""
    if feature.default is None:
        return float("nan")
    if isinstance(feature.default, str):
        known = feature.categories or ()
        return float(known.index(feature.default)) if feature.default in known else float("nan")
    return float(feature.default)
