"""Measuring windows with their labels, by a job of kind `measure`.

A mature window is measured once, with the labels that came within the policy's delay; it is
measured again when labels come late or are corrected, and its readings then remember what they
said before. A younger window is looked at as it closes and at about each quarter of the delay: its
readings are `immature`, corrected for the delay where that can be told.

What always holds: only rows outside outages count; measuring a window again writes the same
readings; a look never overwrites a mature reading; a window that cannot be measured (its job was
given up) does not stop the ones after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.maturity import correct, maturity_of
from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.domain.usual_performance import performance_rules
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import (
    jobs,
    label_profiles,
    late_labels,
    looks,
    loss_models,
    watching,
)
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.estimating import estimated_of_classes
from mlreg.controller.services.label_drift import drift_readings
from mlreg.controller.services.label_readings import (
    Taken,
    label_readings,
    remembering,
    waiting_readings,
)
from mlreg.controller.services.labelled_rows import RowShape, labelled_rows, shape_of
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.controller.services.looks import Look
from mlreg.controller.services.mature_windows import measure_key
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.verdicts import judged
from mlreg.controller.services.window_readings import LEAST_SHARE_LEFT
from mlreg.controller.store import label_profiles as profile_rows
from mlreg.controller.store import policies, readings
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.readings import ReadingState, WindowReading
    from mlreg.controller.services.label_profiles import PastOutcomes
    from mlreg.controller.services.labelled_rows import LabelledRows
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession, WriteSession


def young_looks(session: ReadSession, in_force: PolicyInForce, closed: Interval) -> list[Look]:
    """Return the windows to be looked at as this one closes; none before any was mature."""
    found = looks.looks_beside(in_force.policy.data, closed)
    place = (in_force.model_id, in_force.environment)
    return found if found and profile_rows.has_mature(session, place) else []


def enqueue_measure(
    session: WriteSession, in_force: PolicyInForce, window: Interval, also: Sequence[Look] = ()
) -> bool:
    """Have a matured window measured, and younger ones looked at; False when asked already."""
    place = (in_force.model_id, in_force.environment)
    return _enqueue(session, looks.of_mature(place, in_force.policy.data, window, also))


def enqueue_again(
    session: WriteSession, in_force: PolicyInForce, window: Interval, matured_until: datetime
) -> bool:
    """Have a window measured again whose rows are others now; False where it was not measured yet.

    Labels count that came before the newest window matured: those were all looked at.
    """
    place, delay = (in_force.model_id, in_force.environment), in_force.policy.data.label_delay
    before = readings.find_reading(session, place, "labelled", window)
    if before is None or before.state == "immature":
        return False
    mature = window.end + delay
    look = Look(window, max(mature, matured_until + delay), mature, again=True)
    return _enqueue(session, looks.job_of(place, [look], f"{measure_key(place, window)}:again"))


def enqueue_looks(session: WriteSession, in_force: PolicyInForce, young: Sequence[Look]) -> bool:
    """Have young windows looked at; False when that is asked already."""
    place = (in_force.model_id, in_force.environment)
    return _enqueue(session, looks.of_young(place, young))


def _enqueue(session: WriteSession, wanted: jobs.JobRequest) -> bool:
    return bool(jobs.enqueue_all(session, [wanted]))


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
    key = measure_key((in_force.model_id, in_force.environment), window)
    return policies.has_given_up(session, key)


@dataclass(frozen=True, slots=True)
class _Deployment:
    """What is measured: a model in an environment, under the rule of its policy."""

    model: Model
    place: tuple[int, str]
    rule: MonitorRule
    shape: RowShape


def perform(attempt: Attempt) -> None:
    """Measure the windows that the job names, the mature one first; then ask for late labels."""
    payload: dict[str, Any] = dict(attempt.lease.payload)
    deployment = _deployment(attempt, payload)
    for look in [Look.from_json(form) for form in payload["looks"]]:
        attempt.check()
        taken = _measure(attempt, deployment, look)
        if look.is_mature and not look.again:
            _follow_up(attempt, deployment, look, taken)


def _deployment(attempt: Attempt, payload: dict[str, Any]) -> _Deployment:
    place = (int(payload["model_id"]), str(payload["environment"]))
    with attempt.database.reading() as session:
        model = policies.model_of(session, place[0])
        in_force = policy_in_force(session, *place)
    rule = MonitorRule() if in_force is None else in_force.policy.monitors
    return _Deployment(model, place, rule, shape_of(model, rule.slices))


def _measure(attempt: Attempt, deployment: _Deployment, look: Look) -> LabelledRows | None:
    """Measure one window, and write its readings and its profile of labels."""
    taken, past = _take(attempt, deployment, look)
    rng = np.random.default_rng(int(look.window.start.timestamp()))
    found = (label_readings if look.is_mature else waiting_readings)(taken, deployment.rule, rng)
    if taken.rows is not None and past:
        scores = taken.rows.window.scores
        scored = scores[np.isfinite(scores).all(axis=1)]
        found = [*found, *estimated_of_classes(past, look.window, scored)]
    if look.is_mature and taken.rows is not None and taken.state == "final":
        of = (deployment.model, deployment.place, look.window)
        with attempt.database.reading() as session:
            rules = performance_rules(taken.task)
            found = judged(session, deployment.place, found, rules)
            found = [*found, *drift_readings(session, *of, taken.rows.window)]
    with attempt.effect() as session:
        _write(session, deployment, look, taken, found, attempt.clock.now())
    return taken.rows


def _take(
    attempt: Attempt, deployment: _Deployment, look: Look
) -> tuple[Taken, list[list[PastOutcomes]]]:
    """Read one window, and what earlier ones tell of it."""
    place, shape = deployment.place, deployment.shape
    with attempt.database.reading() as session:
        body = select_rows(session, deployment.model, look.window, look.labels_until)
        delays = label_profiles.known_delays(session, place, look.window.end, shape.classes)
        past = _past_of_classes(session, deployment, look)
    left_out = sum((one.end - one.start for one in body.excluded), timedelta())
    table = read_rows(attempt.store, body, shape.columns)
    rows = None if table is None or not table.num_rows else labelled_rows(shape, table)
    taken = Taken(shape.task, look.window, rows, _state(rows, left_out / look.window.length))
    if rows is None:
        return taken, past
    ages = rows.ages(look.labels_until, look.mature)
    if delays.labelled is not None:
        maturity = maturity_of(int(rows.labelled.sum()), ages, delays.labelled)
        taken = replace(taken, maturity=maturity)
    if not look.is_mature:
        taken = replace(taken, correction=correct(rows.classes, ages, delays.by_class))
    return taken, past


def _write(
    session: WriteSession,
    deployment: _Deployment,
    look: Look,
    taken: Taken,
    found: list[WindowReading],
    now: datetime,
) -> None:
    place = deployment.place
    if look.again:
        found = remembering(session, place, look.window, found)
    readings.write_readings(session, place, found, now=now, ripen=not look.is_mature)
    if taken.rows is not None:
        outcomes = label_profiles.outcomes_of(session, place[0], taken.rows, deployment.rule)
        state = taken.state if look.is_mature else "immature"
        seen = (look.window, look.labels_until, state)
        label_profiles.keep_profile(session, place, seen, taken.rows, outcomes)
    watching.watch(session, place, [look.window], now=now, again=look.again)


def _past_of_classes(
    session: ReadSession, deployment: _Deployment, look: Look
) -> list[list[PastOutcomes]]:
    """Return what became of scores, where they are needed: profiles know nothing of classes."""
    closes = look.labels_until == look.window.end
    if deployment.shape.task != "multiclass" or look.is_mature or not closes:
        return []
    return label_profiles.past_outcomes(session, deployment.place, look.window.end)


def _follow_up(
    attempt: Attempt, deployment: _Deployment, look: Look, taken: LabelledRows | None
) -> None:
    """After a mature window: learn from it, and find the older ones that labels came for since."""
    if taken is not None and deployment.shape.task == "regression":
        loss_models.learn(
            attempt, deployment.model, deployment.place, look.window, look.labels_until
        )
    delay = look.mature - look.window.end
    received = Interval(look.mature - look.window.length, look.mature)
    windows = late_labels.find_windows(
        attempt, deployment.model, deployment.place, (look.window, received)
    )
    for window in windows:
        again = Look(window, look.mature, window.end + delay, again=True)
        with attempt.effect() as session:
            key = f"{measure_key(deployment.place, window)}:again"
            _enqueue(session, looks.job_of(deployment.place, [again], key))


def _state(rows: LabelledRows | None, share_left_out: float) -> ReadingState:
    if share_left_out > 1 - LEAST_SHARE_LEFT:
        return "outage"
    return "empty" if rows is None else "final"


HANDLER = Handler(perform, alert_if_dead)
