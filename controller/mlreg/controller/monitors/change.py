"""Change detectors on a model's loss, hour by hour: has the relation of label and features changed?

`adwin` (Bifet & Gavaldà 2007, doi:10.1137/1.9781611972771.42) compares every older part of the
series with every newer one; `page_hinkley` (Page 1954) sums what exceeds the mean. Both are those
of `river`, which nobody else imports: it takes seconds and 80 MB, so it is imported when used.

What always holds: they are run anew over the whole (bounded) series, so nothing is remembered
between windows and the same losses tell the same; only a loss that rose is a change; a series is
scaled by its own first days, so one setting fits every loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_POINTS = 48
SCALED_BY = 72
MAX_SPREADS = 3.0
ADWIN_DELTA = 0.01
PAGE_HINKLEY_DELTA = 0.5
PAGE_HINKLEY_THRESHOLD = 25.0


@dataclass(frozen=True, slots=True)
class Change:
    """A rise of the loss.

    Attributes:
        told: place of the point at which it was told.
        before, after: mean loss before and since.
        began: place of the point from which it was higher, by the cut that splits best.
    """

    told: int
    before: float
    after: float
    began: int


def adwin_changes(losses: Sequence[float]) -> list[Change]:
    """Return where ADWIN tells that the loss rose (delta 0.01, on losses scaled into 0 to 1)."""
    from river.drift import ADWIN

    detector = ADWIN(delta=ADWIN_DELTA, clock=1)

    def tells(value: float) -> bool:
        detector.update((value + MAX_SPREADS) / (2.0 * MAX_SPREADS))
        return bool(detector.drift_detected)

    return _changes(losses, tells)


def page_hinkley_changes(losses: Sequence[float]) -> list[Change]:
    """Return where the Page-Hinkley test tells that the loss rose.

    It sums what lies more than half a spread above the mean so far, and tells at 25 spreads.
    """
    from river.drift import PageHinkley

    detector = PageHinkley(
        min_instances=LEAST_POINTS // 2,
        delta=PAGE_HINKLEY_DELTA,
        threshold=PAGE_HINKLEY_THRESHOLD,
        alpha=1.0,
        mode="up",
    )

    def tells(value: float) -> bool:
        detector.update(value)
        return bool(detector.drift_detected)

    return _changes(losses, tells)


def _changes(losses: Sequence[float], tells: Callable[[float], bool]) -> list[Change]:
    if len(losses) < LEAST_POINTS:
        return []
    values = np.asarray(losses, dtype=np.float64)
    found, since = [], 0
    for place, value in enumerate(_scaled(values).tolist()):
        if tells(value):
            before, after, cut = _sides(values[since : place + 1])
            if after > before:
                found.append(Change(place, before, after, since + cut))
            since = place
    return found


def _sides(values: Floats) -> tuple[float, float, int]:
    """Return the means around the cut that splits a series best (least squares), and its place."""
    sizes = np.arange(1, len(values))
    if not len(sizes):
        return float(values[0]), float(values[0]), 0
    sums = np.cumsum(values)
    left, right = sums[:-1] / sizes, (sums[-1] - sums[:-1]) / (len(values) - sizes)
    best = int(np.argmax(np.square(left - right) * sizes * (len(values) - sizes)))
    return float(left[best]), float(right[best]), best + 1


def _scaled(values: Floats) -> Floats:
    """Return losses in spreads around their first days' median, the extremes cut off."""
    first = values[:SCALED_BY]
    centre = float(np.median(first))
    spread = 1.4826 * float(np.median(np.abs(first - centre)))
    unit = max(spread, 1e-3 * abs(centre), 1e-12)
    return np.clip((values - centre) / unit, -MAX_SPREADS, MAX_SPREADS)
