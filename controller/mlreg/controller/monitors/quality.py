"""The monitor of quality: shares of missing, unseen and default values, by feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.monitors.monitor import Measured, Monitor, WindowView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class QualityMonitor:
    """`null_share`, `unseen_share` (of categories) and `default_share` (with the missing ones)."""

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the shares of every feature, 0 to 1."""
        return [one for feature in view.profile.bins.features for one in _shares(view, feature)]


def _shares(view: WindowView, feature: str) -> Iterator[Measured]:
    column = view.profile.column(feature)
    bins = view.profile.bins.columns[view.profile.bins.places[feature]]
    rows = column.rows
    yield Measured("null_share", column.nulls / rows if rows else None, rows, feature)
    if bins.scale == "codes":
        yield Measured("unseen_share", column.unseen / rows if rows else None, rows, feature)
    if bins.default is not None:
        yield Measured("default_share", column.default_share if rows else None, rows, feature)


_PROOF: type[Monitor] = QualityMonitor
