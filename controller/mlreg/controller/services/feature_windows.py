"""One feature (or the score) in one window, beside the rows that the champion was trained on.

What always holds: it is read from stored profiles, never from rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.bins import ColumnBins
from mlreg.controller.domain.profile import ColumnProfile
from mlreg.controller.domain.windows import Interval, window_of
from mlreg.controller.services.drift import FeatureNotFoundError, reference_of
from mlreg.controller.services.rollups import LENGTHS, Width, load_stack
from mlreg.controller.store.profiles import newest_hour
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWindow:
    """One column of a window and of its reference.

    Attributes:
        window: None where nothing was logged yet; then `now` is the reference without rows.
    """

    column: ColumnBins
    window: Interval | None
    before: ColumnProfile
    now: ColumnProfile


def find_feature_window(
    session: ReadSession,
    model: Model,
    feature: str,
    place: tuple[str, Width],
    moment: datetime | None = None,
) -> FeatureWindow:
    """Return a feature of the window that holds a moment; of the newest without one.

    Args:
        session: a session.
        model: whose feature.
        feature: its name, or `score`.
        place: the environment, and how long windows are.
        moment: in the window.

    Raises:
        NoReferenceError: there is no champion with a profile of its rows.
        FeatureNotFoundError: it has no such feature.
        BrokenProfileError: stored bytes are not profiles of its bins.
    """
    environment, width = place
    contract, reference = reference_of(session, model, environment)
    bins = reference.bins
    if feature not in bins.places:
        raise FeatureNotFoundError(feature=feature)
    log = (catalog.id_of(model), contract)
    moment = moment or newest_hour(session, log)
    window = None if moment is None else window_of(moment, LENGTHS[width])
    before = reference.column(feature)
    if window is None:
        return FeatureWindow(bins.columns[bins.places[feature]], None, before, before)
    found = load_stack(session, log, bins, width, window).stack.merged()
    return FeatureWindow(bins.columns[bins.places[feature]], window, before, found.column(feature))
