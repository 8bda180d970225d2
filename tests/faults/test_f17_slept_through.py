"""Fault 17: the controller is down for three hours across due times.

Its catch-up policy is obeyed (`latest`: one firing, `all`: each in its order, `none`: nothing), and
what was missed is recorded.
"""

from datetime import timedelta

from mlreg.controller.store import tables
from tests.automation_makers import HOUR, POLICY, START, Automation

MINUTE = timedelta(minutes=1)
BACK = START + 4 * HOUR + 10 * MINUTE


def down_for_three_hours(database, store, trigger):
    """Tick at 1:00, when the trigger is due, and not again before 4:10."""
    policy = POLICY.replace('{schedule: "0 3 * * *"}', trigger).replace(
        "cooldown: 1h", "cooldown: 1m"
    )
    automation = Automation(database, store, policy=policy)
    (first,) = automation.pass_to(START + HOUR)
    assert first.outcome == "run"
    end_runs(automation)
    automation.pass_to(BACK)
    return [
        (round((one.fire_at - START) / HOUR), one.outcome, one.readings[0]["readings"][0]["missed"])
        for one in automation.all(tables.Firing)[1:]
    ]


def end_runs(automation):
    with automation.database.writing() as session:
        for run in automation.all(tables.Run):
            session.get_one(tables.Run, run.id).state = "succeeded"


def test_latest_makes_one_run_and_counts_the_others(database, store):
    assert down_for_three_hours(database, store, '{schedule: "0 * * * *"}') == [(4, "run", 2)]


def test_all_judges_each_in_its_order(database, store):
    fired = down_for_three_hours(database, store, "{every: 1h, catch_up: all}")
    assert fired == [(2, "run", 0), (3, "busy", 0), (4, "busy", 0)]


def test_none_runs_only_what_is_looked_at_in_time_and_says_so(database, store):
    policy = POLICY.replace('{schedule: "0 3 * * *"}', "{every: 1h, catch_up: none}")
    automation = Automation(database, store, policy=policy)
    assert automation.pass_to(BACK) == []
    (missed,) = automation.all(tables.Firing)
    assert (missed.outcome, missed.readings[0]["readings"][0]["missed"]) == ("missed", 4)
    (record,) = automation.all(tables.TriggerRecord)
    assert record.found[0]["because"].startswith("4 due times passed unseen")
    (fired,) = automation.pass_to(START + 5 * HOUR + MINUTE)
    assert fired.outcome == "run"
