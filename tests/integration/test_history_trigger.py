"""`against: history` in the controller: real readings of labelled days, through the real tick."""

from datetime import timedelta

import pytest

from mlreg.controller.store import tables
from tests.automation_makers import DAY, START, Automation

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{performance: auc, drop: 0.15, against: history, min_rows: 200}]
cooldown: 1h
retrain: {rounds: 10}
"""
MINUTE = timedelta(minutes=1)
USUAL = 15
"""So many days are as usual: fourteen before the last of them say what that is."""


@pytest.mark.nightly
def test_a_fall_below_what_is_usual_fires_once_its_labels_are_complete(database, store):
    automation = Automation(database, store, policy=POLICY)
    for number in range(USUAL):
        automation.log(START + number * DAY, rows=240)
    assert automation.pass_to(START + (USUAL + 1) * DAY + MINUTE) == []
    (found,) = automation.all(tables.TriggerRecord)[-1].found
    assert "than it usually is at such times" in found["because"]
    for number in (USUAL, USUAL + 1):
        automation.log(START + number * DAY, rows=240, quality=0.0)
        fired = automation.pass_to(START + (number + 1) * DAY + MINUTE)
        assert [one.triggers for one in fired] == [("performance",)] * (number == USUAL + 1)
    (firing,) = automation.all(tables.Firing)
    assert firing.outcome == "run"
    assert firing.readings[0]["readings"][0]["now"] < -0.15
    bad = START + USUAL * DAY
    assert firing.readings[0]["readings"][0]["windows"] == [bad.isoformat()]
