"""Newer rows count more: `{half_life: 14d}`."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.selections.selection import (
    Candidates,
    Chosen,
    Past,
    Selection,
    decayed,
)


class Recency(Selection):
    """The rows of `train_window`, each counting half as often for every half life of its age."""

    kind: ClassVar[str] = "half_life"
    half_life: Duration

    @override
    def choose(self, rows: Candidates, past: Past) -> Chosen:
        """Weigh every row by its age."""
        return Chosen(None, decayed(rows.ages(past.until), self.half_life))
