"""`not_null`: there is a value in every row; with `at_most`, in most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from typing_extensions import override

from mlreg.controller.domain.invariants.invariant import Column, RowInvariant

if TYPE_CHECKING:
    from mlreg.controller.domain.invariants.rows import Booleans, Rows


class NotNull(RowInvariant):
    """The feature is known; `at_most` is its largest share of missing values."""

    kind: ClassVar = "not_null"
    not_null: Column

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        return (self.not_null,)

    @property
    @override
    def rule(self) -> str:
        return f"{self.not_null} is known"

    @override
    def judge(self, rows: Rows) -> tuple[Booleans, Booleans]:
        return np.ones(len(rows), dtype=bool), ~rows.known(self.not_null)
