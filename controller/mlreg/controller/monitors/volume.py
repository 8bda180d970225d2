"""The monitor of volume and scores: `rows` of a window, and the mean of what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.season import Judgement
from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView, measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlreg.controller.domain.stack import ProfileStack

ROWS = Judgement(least=10.0, relative=0.2, both_sides=True)
LEAST_UNITS = 0.02
"""The smallest unusual difference of mean scores: of probabilities 2 points, else of the spread."""


class VolumeMonitor:
    """`rows` and `score_mean`, that of numbers."""

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the number of rows and the mean score."""
        windows, rows = view.windows(), view.profile.rows
        counted = measured("rows", windows.rows.astype(np.float64), rows, "", ROWS)
        if view.decides:
            return [counted]
        unit = view.profile.bins.columns[view.profile.bins.places[SCORE]].unit
        mean = Judgement(least=LEAST_UNITS * unit, both_sides=True)
        known = view.profile.column(SCORE).known
        return [
            counted,
            measured("score_mean", _means(windows), known, "", mean),
        ]


def _means(windows: ProfileStack) -> NDArray[np.float64]:
    place = windows.bins.places[SCORE]
    column = windows.bins.columns[place]
    known = windows.rows - windows.tallies[:, :2, place].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = windows.sums[:, 0, place] / known
    return np.asarray(column.center + column.unit * mean, dtype=np.float64)


_PROOF: type[Monitor] = VolumeMonitor
