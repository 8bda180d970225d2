"""`unique`: a value comes once, or once of each entity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import Column, GroupedInvariant

if TYPE_CHECKING:
    from mlreg.controller.domain.invariants.rows import Booleans, Rows


class Unique(GroupedInvariant):
    """No two rows have the same value of the feature; with `per`, none of the same entity.

    Of rows with one value the first keeps it, and all others break it.
    """

    kind: ClassVar = "unique"
    unique: Column

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.unique,)

    @property
    @override
    def rule(self) -> str:
        return f"{self.unique} is unique{self.of_each}"

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        column = rows.codes(self.unique)
        known, keys = column.known, column.codes
        if self.per is not None:
            group = rows.codes(self.per)
            known = known & group.known
            keys = group.codes * len(column.distinct) + keys
        return known, _repeated(keys, known)


def _repeated(keys: np.ndarray, known: Booleans) -> Booleans:
    """Return which rows have the key of a known row before them."""
    places = np.flatnonzero(known)
    order = places[np.argsort(keys[places], kind="stable")]
    again = keys[order[1:]] == keys[order[:-1]]
    broken = np.zeros(len(keys), dtype=bool)
    broken[order[1:][again]] = True
    return broken
