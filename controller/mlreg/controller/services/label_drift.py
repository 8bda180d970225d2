"""What a mature window's labels say of drift (`monitors/labels.py`), by what the store knows.

What always holds: the reference is that of who serves now; only readings of losses since it came
are looked at, never rows of other windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.labels import label_bins, label_profile
from mlreg.controller.domain.profile import Profile
from mlreg.controller.monitors.labels import (
    LOSS,
    RULES,
    detect_changes,
    first_seen,
    read_labels,
    read_loss,
)
from mlreg.controller.services.profiles import find_bins
from mlreg.controller.services.verdicts import judged
from mlreg.controller.store.profiles import find_reference
from mlreg.controller.store.readings import list_readings, window_reading
from mlreg.controller.store.serving import Serving, find_serving
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.domain.performance import LabelledWindow
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.domain.target_contract import TargetContract
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

    Place = tuple[int, str]
    """A model's id and an environment."""


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
    own = label_bins(classes_of(catalog.target_contract_of(model)), bins)
    return label_profile(labels, own).to_bytes()


def classes_of(target: TargetContract) -> tuple[str, ...]:
    """Return the names of the classes that labels are counted by; none of numbers."""
    if target.task == "binary" and not target.classes:
        return ("0", "1")
    return tuple(target.classes) if target.task in {"binary", "multiclass"} else ()


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
    own = label_bins(classes_of(catalog.target_contract_of(model)), bins)
    stored = find_reference(session, catalog.id_of(model), serving.champion)
    known = None if stored is None or stored.labels is None else stored.labels
    reference = None if known is None else Profile.from_bytes(known, own)
    yield from read_labels(labelled.labels, own, reference, span)


def _concept_readings(
    session: ReadSession,
    task: str,
    where: tuple[Place, Serving | None],
    span: Interval,
    labelled: LabelledWindow,
) -> Iterator[WindowReading]:
    place, serving = where
    loss = read_loss(task, labelled, span)
    if loss is None:
        return
    yield loss
    since = first_seen(None if serving is None else serving.promoted_at, span)
    listed = list_readings(
        session,
        model_id=place[0],
        environment=place[1],
        monitors=[LOSS],
        after=since,
        until=span.start,
    )
    yield from detect_changes(loss, [window_reading(one) for one in listed], since)
