"""The monitor of quality: shares of missing, unseen and default values, by feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.season import Judgement
from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView, measured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RULE = Judgement(least=0.02)


class QualityMonitor:
    """`null_share`, `unseen_share` (of categories) and `default_share` (with the missing ones).

    There is no share of infinite values: the log takes none.
    """

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the shares of every feature, 0 to 1."""
        windows = view.windows()
        with np.errstate(invalid="ignore"):
            shares = windows.tallies / windows.rows[:, None, None]
        return [one for feature in view.profile.bins.features for one in _of(view, feature, shares)]


def _of(view: WindowView, feature: str, shares: NDArray[np.float64]) -> Iterator[Measured]:
    place = view.profile.bins.places[feature]
    bins, rows = view.profile.bins.columns[place], view.profile.rows
    nulls, unseen, defaults = shares[:, 0, place], shares[:, 1, place], shares[:, 2, place]
    yield measured("null_share", nulls, rows, feature, RULE)
    if bins.scale == "codes":
        yield measured("unseen_share", unseen, rows, feature, RULE)
    if bins.default is not None:
        yield measured("default_share", defaults + nulls, rows, feature, RULE)


_PROOF: type[Monitor] = QualityMonitor
