"""Fault 17: the controller is down for three hours across due times.

Its catch-up policy is obeyed (`latest`: one firing, `all`: each in its order, `none`: nothing), and
what was missed is recorded.
"""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from mlreg.controller.services.policies import apply_policy
from mlreg.controller.store import tables
from mlreg.registry.store.tables import Installation, Model
from tests.automation_makers import HOUR, POLICY, START, Automation
from tests.faults.controllers import Plan, controller
from tests.faults.workers import await_true
from tests.feedback_makers import make_model
from tests.makers import PERSON

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


RULES = ("latest", "all", "none")
HOURLY = """
model: {0}
data: {{train_window: 20d, evaluate_window: 5d, label_delay: 1d}}
triggers: [{{every: 1h, catch_up: {0}}}]
cooldown: 1m
"""


def move_to(database, moment):
    with database.writing() as session:
        installation = session.exec(select(Installation)).one()
        installation.virtual_now, installation.ever_virtual = moment, True
        for run in session.exec(select(tables.Run)):
            run.state = "succeeded"


def fired(database):
    """Return the firings of each model, by what its policy says of due times."""
    with database.reading() as session:
        names = {one.id: one.name for one in session.exec(select(Model))}
        found = session.exec(select(tables.Firing).order_by(col(tables.Firing.fire_at))).all()
    return {
        name: [
            ((one.fire_at - START) / HOUR, one.outcome, one.readings[0]["readings"][0]["missed"])
            for one in found
            if names[one.model_id] == name
        ]
        for name in RULES
    }


@pytest.mark.slow
def test_a_controller_that_was_killed_obeys_when_another_is_started(
    database, database_url, tmp_path
):
    move_to(database, START)
    for name in RULES:
        make_model(database, name)
        with database.writing() as session:
            apply_policy(session, HOURLY.format(name), git=None, actor=PERSON, now=START)
    one, other = (Plan(database_url, name, 1.2, clock="virtual") for name in ("one", "other"))
    with controller(one, tmp_path) as process:
        move_to(database, START + HOUR)
        in_time = [(1, "run", 0)]
        await_true(lambda: fired(database) == dict.fromkeys(RULES, in_time))
        process.kill()
    move_to(database, BACK)
    expected = {
        "latest": [(4, "run", 2)],
        "all": [(2, "run", 0), (3, "busy", 0), (4, "busy", 0)],
        "none": [(4, "missed", 3)],
    }
    with controller(other, tmp_path):
        wanted = {name: in_time + later for name, later in expected.items()}
        await_true(lambda: fired(database) == wanted)
        move_to(database, START + 5 * HOUR)
        await_true(lambda: [all_[-1] for all_ in fired(database).values()] == [(5, "run", 0)] * 3)
