"""The monitor of drift: effect sizes of every feature, and of the score, against the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.drift import SIZES, yardstick_of
from mlreg.controller.domain.season import Judgement
from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView, measured

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = {
    "psi": Judgement(least=0.05),
    "jensen_shannon": Judgement(least=0.05),
    "wasserstein": Judgement(least=0.1),
    "ks": Judgement(least=0.05),
    "cramers_v": Judgement(least=0.05),
}


class DriftMonitor:
    """Every size (`domain.drift.SIZES`) by feature; of the score `score_<size>`.

    The score has monitors of its own, so that a trigger on any feature does not mean the score.
    Its reference is what was logged before the champion came, for a training has no such scores.
    """

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return every size that is defined; none without a reference of the same bins."""
        reference = view.reference
        if reference is None or reference.bins.digest != view.profile.bins.digest:
            return []
        matrix = yardstick_of(reference).measure(view.windows())
        return [
            measured(
                f"score_{size}" if column == SCORE else size,
                matrix.sizes[size][:, place],
                view.profile.rows,
                column,
                RULES[size],
            )
            for place, column in enumerate(matrix.columns)
            for size in SIZES
            if np.isfinite(matrix.sizes[size][-1, place])
        ]


_PROOF: type[Monitor] = DriftMonitor
