"""Fault 21, each trigger by itself: no windows, no rows, no value, NaN or infinite: it holds back.

What it had fired for stays spent: nothing to judge is no going back.
"""

from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.triggers import View
from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.controller.triggers.invariant import InvariantTrigger
from mlreg.controller.triggers.labelled_rows import LabelledRowsTrigger
from mlreg.controller.triggers.performance import PerformanceTrigger
from mlreg.controller.triggers.predictions import PredictionsTrigger

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EAGER = [
    DriftTrigger(drift="psi", above=0.0, min_rows=1),
    DriftTrigger(drift="psi", above=0.0, min_rows=1, features="all"),
    DriftTrigger(drift="rows", below=1e9),
    DriftTrigger(drift="null_share", above=0.0, windows={"k": 1, "of": 5}),
    DriftTrigger(drift="business:revenue", below=1e9, min_rows=1),
    DriftTrigger(drift="concept_adwin"),
    PerformanceTrigger(performance="auc", drop=1e-9, min_rows=1),
    PerformanceTrigger(performance="auc", drop=1e-9, against="history", min_rows=1),
    PerformanceTrigger(performance="auc", below=1.0, min_rows=1),
    PerformanceTrigger(performance="log_loss", above=0.0, min_rows=1),
    InvariantTrigger(invariant="any", share=0.0),
    LabelledRowsTrigger(labelled_rows=1),
    PredictionsTrigger(predictions=1),
]
NOTHING = [
    {"value": None, "state": "empty", "rows": 0},
    {"value": None, "state": "outage"},
    {"value": None, "state": "immature"},
    {"value": 0.5, "state": "estimate"},
    {"value": nan, "state": "final"},
    {"value": inf, "state": "final"},
    {"value": -inf, "state": "final"},
]


def readings(trigger, nothing):
    """Sixty days of it, of whatever the trigger wants to see."""
    need = trigger.need(View(START, START))
    monitors = need.monitors or tuple(f"{family}x" for family in need.families)
    filled = {"rows": 500, **nothing}
    return {
        monitor: tuple(
            WindowReading(
                monitor,
                "",
                START + number * DAY,
                START + (number + 1) * DAY,
                filled["value"],
                filled["rows"],
                filled["state"],
            )
            for number in range(60)
        )
        for monitor in monitors
    }


@pytest.mark.parametrize("trigger", EAGER, ids=repr)
def test_nothing_to_hold_on(trigger):
    now = START + 60 * DAY
    views = [View(now, now - DAY), View(now, now - DAY, promoted_at=START)]
    for view in views:
        assert not trigger.judge(view).holds
    for nothing in NOTHING:
        view = View(
            now,
            now - DAY,
            promoted_at=START,
            readings=readings(trigger, nothing),
            spent=frozenset({""}),
        )
        finding = trigger.judge(view)
        assert (finding.holds, finding.back) == (False, ()), nothing


@pytest.mark.parametrize("trigger", EAGER[:3] + EAGER[8:10] + EAGER[11:], ids=repr)
def test_with_one_real_value_it_holds(trigger):
    """So the triggers above are as eager as they can be."""
    now = START + 60 * DAY
    shown = readings(trigger, {"value": 0.5, "state": "final"})
    if trigger.kind in {"labelled_rows", "predictions"}:
        shown = readings(trigger, {"value": 500.0, "state": "final"})
    assert trigger.judge(View(now, now - DAY, promoted_at=START, readings=shown)).holds
