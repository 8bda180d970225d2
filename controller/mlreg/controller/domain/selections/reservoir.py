"""A uniform sample of all there was: `{reservoir: 100000}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.selections.selection import (
    Candidates,
    Chosen,
    Moment,
    Past,
    Selection,
)

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval


class Reservoir(Selection):
    """So many rows of all history (or since a moment), each as likely as any other.

    Lots are drawn by a seeded hash of the prediction id: a row that is in the sample stays in it
    until later rows with lower lots push it out, and the order of arrival changes nothing.
    """

    kind: ClassVar[str] = "reservoir"
    reservoir: int = Field(ge=100, le=20_000_000)
    since: Moment | None = None

    @property
    @override
    def most_rows(self) -> int | None:
        """The size of the sample."""
        return self.reservoir

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return all there is."""
        return (past.since(self.since),)

    @override
    def choose(self, rows: Candidates, past: Past) -> Chosen:
        """Take the rows of the lowest lots."""
        if len(rows) <= self.reservoir:
            return Chosen()
        order = np.lexsort((rows.times, rows.hashes))
        return Chosen(np.sort(order[: self.reservoir]).astype(np.intp))
