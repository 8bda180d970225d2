"""What a mature window's labels say of drift: the labels themselves, and the loss hour by hour.

Label drift P(Y): `label_mean`, `label_share` by class, and `label_<size>` against the labels that
the champion was trained on. Concept drift P(Y|X): `concept_loss`, the mean loss, whose hours stand
in its evidence; `concept_adwin` and `concept_page_hinkley` are 1 for a window in which these
detectors tell that it rose since the champion came, else 0.

What always holds: the detectors see the hours of stored readings, never rows of other windows; they
are run anew each time, over at most four months.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.drift import SIZES, effect_sizes
from mlreg.controller.domain.hourly_loss import hourly_losses
from mlreg.controller.domain.labels import (
    LABEL,
    class_shares,
    label_bins,
    label_profile,
    mean_label,
)
from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.season import Judgement
from mlreg.controller.domain.windows import HOUR, Interval
from mlreg.controller.monitors.change import Change, adwin_changes, page_hinkley_changes
from mlreg.controller.monitors.drift import RULES as SIZE_RULES
from mlreg.controller.services.profiles import find_bins
from mlreg.controller.services.verdicts import judged
from mlreg.controller.store.profiles import find_reference
from mlreg.controller.store.readings import list_readings
from mlreg.controller.store.serving import Serving, find_serving
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.domain.performance import LabelledWindow
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

    Place = tuple[int, str]
    """A model's id and an environment."""

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


def drift_readings(
    session: ReadSession, model: Model, place: Place, span: Interval, labelled: LabelledWindow
) -> list[WindowReading]:
    """Return a mature window's readings of label drift and concept drift, with verdicts."""
    serving = find_serving(session, *place)
    found = [
        *_label_readings(session, model, serving, span, labelled),
        *_concept_readings(session, model.task, (place, serving), span, labelled),
    ]
    return judged(session, place, found, RULES)


def training_labels(model: Model, bins: Bins, labels: NDArray[np.float64]) -> bytes:
    """Return the profile of training labels as it is kept with the reference."""
    return label_profile(labels, label_bins(_classes(model), bins)).to_bytes()


def _label_readings(
    session: ReadSession,
    model: Model,
    serving: Serving | None,
    span: Interval,
    labelled: LabelledWindow,
) -> Iterator[WindowReading]:
    contract = None if serving is None else serving.contract
    bins = None if contract is None else find_bins(session, contract)
    if serving is None or bins is None:
        return
    own = label_bins(_classes(model), bins)
    now = label_profile(labelled.labels, own)
    mean = mean_label(now)
    if mean is not None:
        yield _reading("label_mean", mean, span, now.rows)
    shares = class_shares(now)
    if len(shares) > 2:  # noqa: PLR2004 - of two classes the mean says it
        for name, share in shares.items():
            yield _reading("label_share", share, span, now.rows, subject=name)
    stored = find_reference(session, catalog.id_of(model), serving.champion)
    if stored is None or stored.labels is None or not now.rows:
        return
    sizes = effect_sizes(Profile.from_bytes(stored.labels, own), now)[LABEL]
    for size in SIZES:
        value = getattr(sizes, size)
        if value is not None:
            yield _reading(f"label_{size}", value, span, now.rows)


def _concept_readings(
    session: ReadSession,
    task: str,
    where: tuple[Place, Serving | None],
    span: Interval,
    labelled: LabelledWindow,
) -> Iterator[WindowReading]:
    place, serving = where
    known = labelled.where(labelled.known)
    hours = hourly_losses(task, known.labels, known.scores, known.weights, known.times)
    if not hours:
        return
    rows = int(labelled.known.sum())
    mean = sum(hour.loss * hour.weight for hour in hours) / sum(hour.weight for hour in hours)
    stated = [(hour.number, round(hour.loss, 6)) for hour in hours]
    yield _reading(LOSS, mean, span, rows, evidence={"hours": stated})
    since = max(serving.promoted_at if serving else span.start, span.start - LONGEST_LOOK)
    past = _past(session, place, since, span)
    points = past + [_Point(_hour(number), loss) for number, loss in stated]
    for monitor, detect in DETECTORS.items():
        yield _told(monitor, detect([point.loss for point in points]), points, (span, rows))


def _past(session: ReadSession, place: Place, since: datetime, span: Interval) -> list[_Point]:
    """Return the hours of the windows before, since the champion came."""
    listed = list_readings(
        session,
        model_id=place[0],
        environment=place[1],
        monitors=[LOSS],
        after=since,
        until=span.start,
    )
    points = [
        _Point(_hour(int(number)), float(loss))
        for one in listed
        for number, loss in (one.evidence or {}).get("hours", ())
    ]
    return [point for point in points if point.at >= since]


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
    return replace(told, verdict="unusual" if here else "normal")


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


def _classes(model: Model) -> tuple[str, ...]:
    target = catalog.target_contract_of(model)
    if target.task == "binary" and not target.classes:
        return ("0", "1")
    return tuple(target.classes) if target.task in {"binary", "multiclass"} else ()


def _hour(number: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + number * HOUR
