"""Measuring a matured window: labelled rows, metrics and skill, by a job of kind `measure`.

What always holds: only rows outside outages count; labels that came after the policy's delay do
not; measuring a window again writes the same readings; a window that cannot be measured (its job
was given up) does not stop the ones after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.performance import Performance, measure_window
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.logged_rows import floats, read_rows, select_rows
from mlreg.controller.services.monitoring import LEAST_SHARE_LEFT, awaited
from mlreg.controller.store import policies, readings

if TYPE_CHECKING:
    import pyarrow as pa

    from mlreg.controller.domain.readings import ReadingState
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession, WriteSession

KIND = "measure"
COLUMNS = ("time", "score", "label", "weight")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the labels of a window say."""

    rows: int
    labelled: int
    performances: tuple[Performance, ...]

    def values(self) -> dict[str, float | None]:
        """Return the readings by monitor."""
        found: dict[str, float | None] = {
            "labelled": float(self.labelled),
            "labelled_share": self.labelled / self.rows if self.rows else None,
        }
        for one in self.performances:
            found[one.metric] = one.value
            found[f"skill_{one.metric}"] = one.skill
        return found


def enqueue_measure(session: WriteSession, in_force: PolicyInForce, window: Interval) -> bool:
    """Have a matured window measured; False when that is asked already."""
    job = jobs.enqueue(
        session,
        kind=KIND,
        payload={
            "model_id": in_force.model_id,
            "environment": in_force.environment,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "labels_until": (window.end + in_force.policy.data.label_delay).isoformat(),
        },
        dedupe_key=_key(in_force.model_id, in_force.environment, window),
        priority=20,
    )
    return job is not None


def is_measured(session: ReadSession, in_force: PolicyInForce, window: Interval) -> bool:
    """Say whether a window's labelled readings are there, or were given up."""
    found = readings.list_readings(
        session,
        model_id=in_force.model_id,
        environment=in_force.environment,
        monitors=["labelled"],
        after=window.start,
        until=window.end,
    )
    if any(one.start == window.start and one.state != "immature" for one in found):
        return True
    key = _key(in_force.model_id, in_force.environment, window)
    return policies.has_given_up(session, key)


def perform(attempt: Attempt) -> None:
    """Measure the window that the job names."""
    payload: dict[str, Any] = dict(attempt.lease.payload)
    window = Interval(*(datetime.fromisoformat(payload[side]) for side in ("start", "end")))
    with attempt.database.reading() as session:
        model = policies.model_of(session, payload["model_id"])
        labels_until = datetime.fromisoformat(payload["labels_until"])
        body = select_rows(session, model, window, labels_until)
    left_out = sum((one.end - one.start for one in body.excluded), timedelta())
    measured = measure_rows(model.task, read_rows(attempt.store, body, COLUMNS))
    state = _state(measured, left_out / window.length)
    final = measured.values() if state == "final" else {}
    values = {**dict.fromkeys(awaited(model.task)), **final}
    found = [
        WindowReading(
            monitor, "", window.start, window.end, value, measured.labelled, _own(state, value)
        )
        for monitor, value in values.items()
    ]
    with attempt.finish() as session:
        place = (payload["model_id"], payload["environment"])
        readings.write_readings(session, place, found, now=attempt.clock.now())


def measure_rows(task: str, rows: pa.Table | None) -> Measured:
    """Return what the labels of some joined rows say."""
    if rows is None or rows.num_rows == 0:
        return Measured(0, 0, ())
    labels, scores = floats(rows, "label"), floats(rows, "score")
    weights = floats(rows, "weight", missing=1.0)
    labelled = int(np.isfinite(labels).sum())
    found = measure_window(task, labels, scores, weights)
    return Measured(rows.num_rows, labelled, tuple(found))


def _state(measured: Measured, share_left_out: float) -> ReadingState:
    if share_left_out > 1 - LEAST_SHARE_LEFT:
        return "outage"
    return "final" if measured.rows else "empty"


def _own(state: ReadingState, value: float | None) -> ReadingState:
    """Return the state of one reading: a final one has a value (one class has no AUC)."""
    return "empty" if state == "final" and value is None else state


def _key(model_id: int, environment: str, window: Interval) -> str:
    return f"{KIND}:{model_id}:{environment}:{window.start.isoformat()}"


HANDLER = Handler(perform, alert_if_dead)
