"""The readings of one window that come from its labels.

What always holds: a final reading has a value (one class has no AUC); an immature one has a value
only if the delay could be weighed out of it, and says why not; every value without an interval
says why it has none; a reading that is taken again remembers what it said before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.maturity import Correction, Maturity
from mlreg.controller.domain.metrics import WATCHED_OF_TASK
from mlreg.controller.domain.performance import SKILLED, LabelledWindow, Performance, measure_window
from mlreg.controller.domain.readings import EVERYTHING, ReadingState, WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.labelled_rows import LabelledRows
from mlreg.controller.store import readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from mlreg.controller.domain.monitor_rule import MonitorRule
    from mlreg.controller.store.readings import Place
    from mlreg.controller.store.tables import Reading
    from mlreg.registry.store.database import ReadSession

NO_INTERVAL = {"no_interval": "fewer than 12 blocks of time have labelled rows"}
MAX_REMEMBERED = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """A window as it was looked at.

    Attributes:
        task: of the model.
        rows: None where there are none.
        state: final, empty or outage.
        maturity: how far its labels are; None: the delay is not known yet.
        correction: the weights that undo the delay; None for a mature window.
    """

    task: str
    window: Interval
    rows: LabelledRows | None
    state: ReadingState
    maturity: Maturity | None = None
    correction: Correction | None = None

    @property
    def evidence(self) -> dict[str, Any]:
        """What every reading of it says of its labels."""
        return {} if self.maturity is None else self.maturity.as_evidence()

    def reading(
        self,
        monitor: str,
        value: float | None,
        state: ReadingState,
        interval: tuple[float, float] | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> WindowReading:
        """Return a reading of this window."""
        rows = 0 if self.rows is None else int(self.rows.labelled.sum())
        low, high = interval or (None, None)
        reading = WindowReading(
            monitor, EVERYTHING, self.window.start, self.window.end, value, rows, state, low, high
        )
        return reading._replace(evidence=evidence or None)


def awaited(task: str) -> list[str]:
    """Return the monitors that need labels: how many there are, every metric, and its skill."""
    skills = [f"skill_{metric}" for metric in SKILLED.get(task, ())]
    return ["labelled", "labelled_share", "maturity", *WATCHED_OF_TASK.get(task, ()), *skills]


def label_readings(
    taken: Taken, rule: MonitorRule, rng: np.random.Generator
) -> list[WindowReading]:
    """Return the readings of a mature window: labels, metrics, skill, slices."""
    if taken.rows is None or taken.state != "final":
        return [taken.reading(name, None, taken.state) for name in awaited(taken.task)]
    share = taken.rows.labelled.mean()
    found = [
        taken.reading("labelled", float(taken.rows.labelled.sum()), "final"),
        taken.reading("labelled_share", float(share), "final", evidence=taken.evidence),
        taken.reading("maturity", 1.0, "final", evidence=taken.evidence),
    ]
    window = taken.rows.window
    for one in measure_window(taken.task, window, rng, rule.options):
        found.extend(_of_performance(taken, one))
    for name, mask in taken.rows.slices(rule.min_rows):
        found.extend(_of_slice(taken, rule, name, window.where(mask), rng))
    return found


def _of_performance(taken: Taken, one: Performance) -> Iterator[WindowReading]:
    yield _metric(taken, one.metric, one.value, one.interval)
    if one.prior is not None or one.metric in SKILLED.get(taken.task, ()):
        yield _metric(taken, f"skill_{one.metric}", one.skill, one.skill_interval)


def _of_slice(
    taken: Taken, rule: MonitorRule, name: str, window: LabelledWindow, rng: np.random.Generator
) -> Iterator[WindowReading]:
    """Yield the metrics of one slice; those that are undefined in it are left out."""
    rows = int(window.known.sum())
    for one in measure_window(taken.task, window, rng, rule.options):
        if one.value is not None:
            reading = _metric(taken, one.metric, one.value, one.interval)
            yield reading._replace(subject=name, rows=rows)


def _metric(
    taken: Taken, monitor: str, value: float | None, interval: tuple[float, float] | None
) -> WindowReading:
    if value is None:
        return taken.reading(monitor, None, "empty")
    evidence = NO_INTERVAL if interval is None else None
    return taken.reading(monitor, value, "final", interval, evidence)


def waiting_readings(
    taken: Taken, rule: MonitorRule, rng: np.random.Generator
) -> list[WindowReading]:
    """Return the readings of a window whose labels are still awaited."""
    rows, correction, maturity = taken.rows, taken.correction, taken.maturity
    if rows is None or correction is None or maturity is None or taken.state != "final":
        return []
    evidence = taken.evidence
    found = [
        taken.reading("labelled", float(maturity.labelled), "immature", evidence=evidence),
        taken.reading("labelled_share", float(rows.labelled.mean()), "immature", evidence=evidence),
        taken.reading("maturity", maturity.maturity, "immature", evidence=evidence),
    ]
    if correction.because:
        evidence = {**evidence, "not_corrected": correction.because}
        names = awaited(taken.task)[len(found) :]
        return found + [taken.reading(one, None, "immature", evidence=evidence) for one in names]
    weighted = replace(rows.window, weights=rows.window.weights * correction.weights)
    kept = weighted.where(correction.kept)
    for one in measure_window(taken.task, kept, rng, rule.options):
        for reading in _of_performance(taken, one):
            own = {**evidence, **(reading.evidence or {})}
            found.append(reading._replace(state="immature", evidence=own))
    return found


def remembering(
    session: ReadSession, place: Place, window: Interval, found: Sequence[WindowReading]
) -> list[WindowReading]:
    """Return readings that are taken again, with what they said before in their evidence."""
    rows = readings.list_readings(
        session, model_id=place[0], environment=place[1], after=window.start, until=window.end
    )
    before = {
        (row.monitor, row.subject): row
        for row in rows
        if row.start == window.start and row.state != "immature"
    }
    return [_remembering(before.get((one.monitor, one.subject)), one) for one in found]


def _remembering(row: Reading | None, one: WindowReading) -> WindowReading:
    if row is None:
        return one
    history = list((row.evidence or {}).get("history", ()))
    if (row.value, row.rows, row.state) != (one.value, one.rows, one.state):
        history.append(_said(row))
    if not history:
        return one
    return one._replace(evidence={**(one.evidence or {}), "history": history[-MAX_REMEMBERED:]})


def _said(row: Reading) -> Mapping[str, Any]:
    return {
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "rows": row.rows,
        "state": row.state,
        "at": row.created_at.isoformat(),
    }
