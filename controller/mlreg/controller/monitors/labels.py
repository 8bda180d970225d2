"""What a mature window's labels say of drift, whoever keeps it: of the labels, and of the loss.

Label drift P(Y): `label_mean`, `label_share` by class, and `label_<size>` against the labels that
the champion was trained on. Concept drift P(Y|X): `concept_loss`, the mean loss, whose hours stand
in its evidence; `concept_adwin` and `concept_page_hinkley` are 1 for a window in which these
detectors tell that it rose since the champion came, else 0.

What always holds: the detectors see the hours of readings, never rows of other windows; they are
run anew each time, over at most four months.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.drift import SIZES, effect_sizes
from mlreg.controller.domain.hourly_loss import hourly_losses
from mlreg.controller.domain.labels import LABEL, class_shares, label_profile, mean_label
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.season import Judgement
from mlreg.controller.domain.windows import HOUR, Interval
from mlreg.controller.monitors.change import Change, adwin_changes, page_hinkley_changes
from mlreg.controller.monitors.drift import RULES as SIZE_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.domain.performance import LabelledWindow
    from mlreg.controller.domain.profile import Profile

LOSS = "concept_loss"
DETECTORS: dict[str, Callable[[Sequence[float]], list[Change]]] = {
    "concept_adwin": adwin_changes,
    "concept_page_hinkley": page_hinkley_changes,
}
LONGEST_LOOK = timedelta(days=120)
RULES = {
    "label_mean": Judgement(least=0.02, relative=0.05, both_sides=True),
    "label_share": Judgement(least=0.02, both_sides=True),
    LOSS: Judgement(least=0.0, relative=0.1),
    **{f"label_{size}": rule for size, rule in SIZE_RULES.items()},
}


@dataclass(frozen=True, slots=True)
class _Point:
    """The mean loss of one hour."""

    at: datetime
    loss: float


def read_labels(
    labels: NDArray[np.float64], own: Bins, reference: Profile | None, span: Interval
) -> Iterator[WindowReading]:
    """Yield how a window's labels are spread, and how far from those of a reference.

    Args:
        labels: not-a-number where none came.
        own: as `labels.label_bins` made them.
        reference: the profile of the labels that the champion was trained on, if it is known.
        span: the window.
    """
    now = label_profile(labels, own)
    mean = mean_label(now)
    if mean is not None:
        yield _reading("label_mean", mean, span, now.rows)
    shares = class_shares(now)
    if len(shares) > 2:  # noqa: PLR2004 - of two classes the mean says it
        for name, share in shares.items():
            yield _reading("label_share", share, span, now.rows, subject=name)
    if reference is None or not now.rows:
        return
    sizes = effect_sizes(reference, now)[LABEL]
    for size in SIZES:
        value = getattr(sizes, size)
        if value is not None:
            yield _reading(f"label_{size}", value, span, now.rows)


def read_loss(task: str, labelled: LabelledWindow, span: Interval) -> WindowReading | None:
    """Return a window's mean loss with its hours, None where there is none."""
    known = labelled.where(labelled.known)
    of_rows = (known.labels, known.scores, known.weights, known.times, known.groups)
    hours = hourly_losses(task, *of_rows)
    if not hours:
        return None
    rows = int(labelled.known.sum())
    mean = sum(hour.loss * hour.weight for hour in hours) / sum(hour.weight for hour in hours)
    stated = [(hour.number, round(hour.loss, 6)) for hour in hours]
    return _reading(LOSS, mean, span, rows, evidence={"hours": stated})


def first_seen(promoted_at: datetime | None, span: Interval) -> datetime:
    """Return since when losses are looked at for a window: since the champion came."""
    return max(promoted_at or span.start, span.start - LONGEST_LOOK)


def detect_changes(
    now: WindowReading, before: Sequence[WindowReading], since: datetime
) -> list[WindowReading]:
    """Return for each detector whether it tells, in a window, of a change of the loss.

    Args:
        now: the reading of the window's loss.
        before: those of the windows before it, oldest first.
        since: hours before it do not count, but for those of the window itself.
    """
    span = Interval(now.start, now.end)
    past = [point for one in before for point in _points(one) if point.at >= since]
    points = past + _points(now)
    losses = [point.loss for point in points]
    return [
        _told(monitor, detect(losses), points, (span, now.rows))
        for monitor, detect in DETECTORS.items()
    ]


def _points(reading: WindowReading) -> list[_Point]:
    hours = (reading.evidence or {}).get("hours", ())
    return [_Point(_hour(int(number)), float(loss)) for number, loss in hours]


def _told(
    monitor: str, changes: Sequence[Change], points: Sequence[_Point], of: tuple[Interval, int]
) -> WindowReading:
    """Return 1 if a change was told in this window, with when and by how much."""
    span, rows = of
    here = [one for one in changes if span.holds(points[one.told].at)]
    evidence: dict[str, Any] = {"hours": len(points), "since": points[0].at.isoformat()}
    if here:
        evidence |= {
            "told_at": points[here[0].told].at.isoformat(),
            "began_at": points[here[0].began].at.isoformat(),
            "before": here[0].before,
            "after": here[0].after,
        }
    told = _reading(monitor, 1.0 if here else 0.0, span, rows, evidence=evidence)
    return told._replace(verdict="unusual" if here else "normal")


def _reading(
    monitor: str,
    value: float,
    span: Interval,
    rows: int,
    *,
    subject: str = EVERYTHING,
    evidence: dict[str, Any] | None = None,
) -> WindowReading:
    return WindowReading(monitor, subject, span.start, span.end, value, rows, evidence=evidence)


def _hour(number: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + number * HOUR
