"""The newest drift of a deployment, put together from its readings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.monitors.drift import SIZES
from mlreg.controller.store.readings import list_readings, newest_window
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.store.tables import Reading
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

MONITORS = (*SIZES, *(f"score_{size}" for size in SIZES))


@dataclass(frozen=True, slots=True)
class DriftWindow:
    """One window; `features` pairs each feature with its sizes, the most drifted first."""

    start: datetime | None
    end: datetime | None
    state: str
    features: list[tuple[str, dict[str, Any]]]


def newest_drift(session: ReadSession, model: Model, environment: str) -> DriftWindow:
    """Return the effect sizes of the newest window that was read."""
    model_id = catalog.id_of(model)
    start = newest_window(session, model_id, environment)
    if start is None:
        return DriftWindow(None, None, "empty", [])
    listed = list_readings(
        session, model_id=model_id, environment=environment, monitors=MONITORS, after=start
    )
    found = [one for one in listed if one.start == start]
    features = _sizes(found)
    states = {"final"} if features else {one.state for one in found}
    end = found[0].end if found else None
    return DriftWindow(start, end, min(states, default="empty"), features)


def _sizes(readings: Sequence[Reading]) -> list[tuple[str, dict[str, Any]]]:
    """Pair each subject of final readings with its sizes, the most drifted first."""
    sizes: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in readings:
        if one.state == "final":
            size = one.monitor.removeprefix("score_")
            sizes[one.subject].update({size: one.value, "rows": one.rows})
    return sorted(sizes.items(), key=lambda item: -(item[1].get("psi") or 0.0))
