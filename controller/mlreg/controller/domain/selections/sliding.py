"""The newest rows: `{sliding: 90d}`."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.selections.selection import Past, Selection
from mlreg.controller.domain.windows import Interval


class Sliding(Selection):
    """The newest rows, so long back: what `train_window` says when nothing is selected."""

    kind: ClassVar[str] = "sliding"
    sliding: Duration

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return the newest stretch."""
        return (Interval(past.until - self.sliding, past.until),)
