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
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model


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
    monitors = [*SIZES, *(f"score_{size}" for size in SIZES)]
    found = [
        one
        for one in list_readings(
            session, model_id=model_id, environment=environment, monitors=monitors, after=start
        )
        if one.start == start
    ]
    sizes: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in found:
        if one.state == "final":
            sizes[one.subject].update(
                {one.monitor.removeprefix("score_"): one.value, "rows": one.rows}
            )
    states = {one.state for one in found}
    ordered = sorted(sizes.items(), key=lambda item: -(item[1].get("psi") or 0.0))
    end = found[0].end if found else None
    return DriftWindow(start, end, "final" if sizes else min(states, default="empty"), ordered)
