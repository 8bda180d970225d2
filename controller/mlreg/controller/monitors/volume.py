"""The monitor of volume and scores: `rows` of a window, and the mean of what was predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView

if TYPE_CHECKING:
    from collections.abc import Sequence


class VolumeMonitor:
    """`rows` and `score_mean`."""

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the number of rows and the mean score."""
        rows = view.profile.rows
        score = view.profile.column(SCORE)
        mean = score.mean if math.isfinite(score.mean) else None
        return [Measured("rows", float(rows), rows), Measured("score_mean", mean, score.known)]


_PROOF: type[Monitor] = VolumeMonitor
