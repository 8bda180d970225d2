"""Readings of invariants: each closed window of the log is held against them, by a job.

The readings are `invariant:<name>`: the share of rows that break it, of those that it could be
checked on (or the statistic that it is about), `unusual` where that is more than is allowed.

What always holds: at most `MAX_ROWS` predictions are looked at, chosen by a seeded hash of their
ids; what a sample finds broken is broken, but it may miss breaks of an order or a uniqueness. What
looks back (`monotone`, `unique`) is held against the window and one window's length before it, and
nothing is remembered between jobs: a window that is checked again says the same, whatever came
late. Hours of an outage are left out, and a window that is mostly one is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.invariants.invariant import Finding
from mlreg.controller.domain.invariants.rows import Rows
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import jobs, watching
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.checking import Checked, check_rows, columns_of
from mlreg.controller.services.invariants import PREFIX, Declared, find_invariants
from mlreg.controller.services.logged_rows import sample_rows, select_rows
from mlreg.controller.services.looking_again import look_again_if_watched
from mlreg.controller.services.losses import check_still_there
from mlreg.controller.services.window_readings import LEAST_SHARE_LEFT
from mlreg.controller.store import readings
from mlreg.controller.store.policies import model_of
from mlreg.registry.services import catalog
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.readings import ReadingState, Verdict
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model

KIND = "invariants"
PRIORITY = 30
MAX_ROWS = 500_000
EVIDENCE = ("kind", "rule", "severity", "alert", "at_most", "broken", "examples")


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked at: a window, under which declarations, and whether that tells anything."""

    window: Interval
    declared: Declared
    is_down: bool = False
    is_sample: bool = False


def enqueue_window(session: WriteSession, in_force: PolicyInForce, window: Interval) -> bool:
    """Have a closed window checked; False where nothing is declared, or it is asked already."""
    model = model_of(session, in_force.model_id)
    if find_invariants(session, model) is None:
        return False
    start, end = window.start.isoformat(), window.end.isoformat()
    payload = {
        "model_id": in_force.model_id,
        "environment": in_force.environment,
        "start": start,
        "end": end,
    }
    key = f"{KIND}:{in_force.model_id}:{in_force.environment}:{start}"
    job = jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=PRIORITY)
    return job is not None


def perform(attempt: Attempt) -> None:
    """Check the window that the job names, and write its readings."""
    payload: Mapping[str, Any] = attempt.lease.payload
    start, end = (datetime.fromisoformat(payload[side]) for side in ("start", "end"))
    with attempt.database.reading() as session:
        model = model_of(session, payload["model_id"])
        declared = find_invariants(session, model)
    if declared is None:
        return
    look, checked, read = _check(attempt, model, _Look(Interval(start, end), declared))
    failpoint("invariants_checked")
    attempt.check()
    with attempt.finish() as session:
        place = (catalog.id_of(model), str(payload["environment"]))
        now = attempt.clock.now()
        look_again_if_watched(session, place, PREFIX, now=now)
        check_still_there(session, catalog.id_of(model), [read])
        found = [_reading(one, look) for one in checked]
        readings.write_readings(session, place, found, now=now)
        watching.watch(session, place, [look.window], now=now)


def _check(
    attempt: Attempt, model: Model, look: _Look
) -> tuple[_Look, Sequence[Checked], SnapshotBody]:
    """Return what was looked at, what was found, and the rows that were selected for it."""
    window, invariants = look.window, look.declared.invariants
    looks_back = any(one.looks_back for one in invariants)
    span = Interval(window.start - window.length, window.end) if looks_back else window
    with attempt.database.reading() as session:
        body = replace(select_rows(session, model, span, span.end), labels=())
    down = sum((_common(one, window) for one in body.excluded), timedelta())
    look = replace(look, is_down=down / window.length > 1 - LEAST_SHARE_LEFT)
    seed = int(window.start.timestamp())
    table = sample_rows(attempt.store, body, MAX_ROWS, seed, columns_of(invariants))
    if table is None:
        nothing = [Checked(one, Finding(0, 0, None, None), ()) for one in invariants]
        return look, nothing, body
    look = replace(look, is_sample=table.num_rows >= MAX_ROWS)
    found = check_rows(invariants, Rows(table, window.start if looks_back else None))
    return look, found, body


def _reading(one: Checked, look: _Look) -> WindowReading:
    found = Finding(one.finding.checked, 0, None, None) if look.is_down else one.finding
    state: ReadingState = "final" if found.value is not None else "empty"
    verdict: Verdict | None = None
    if found.holds is not None:
        verdict = "normal" if found.holds else "unusual"
    form = one.to_json()
    return WindowReading(
        PREFIX + one.invariant.name,
        EVERYTHING,
        look.window.start,
        look.window.end,
        found.value,
        found.checked,
        "outage" if look.is_down else state,
        verdict=verdict,
        evidence={
            **{name: form[name] for name in EVIDENCE},
            "set": look.declared.number,
            "sample": look.is_sample,
        },
    )


def _common(one: Interval, other: Interval) -> timedelta:
    """Return how long two intervals overlap."""
    return max(min(one.end, other.end) - max(one.start, other.start), timedelta())


HANDLER = Handler(perform, alert_if_dead)
