"""The monitor of drift: effect sizes of every feature, and of the score, against the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.drift import effect_sizes
from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = ("psi", "jensen_shannon", "wasserstein")


class DriftMonitor:
    """`psi`, `jensen_shannon`, `wasserstein` by feature; of the score `score_<size>`.

    The score has monitors of its own, so that a trigger on any feature does not mean the score.
    """

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return every size that is defined; none without a reference of the same bins."""
        reference = view.reference
        if reference is None or reference.bins.digest != view.profile.bins.digest:
            return []
        found = effect_sizes(reference, view.profile)
        return [
            Measured(f"score_{size}" if column == SCORE else size, value, sizes.rows, column)
            for column, sizes in found.items()
            for size in SIZES
            if (value := getattr(sizes, size)) is not None
        ]


_PROOF: type[Monitor] = DriftMonitor
