"""A drift is followed by a run on the rows after it, once there are enough, and by another."""

from datetime import datetime

from sqlmodel import select

from mlreg.controller.services.collecting_rows import find_collection
from mlreg.controller.store import tables
from tests.automation_makers import DAY, START, Automation

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d,
       select: {since_change: 700, check_after: 1d}}
triggers: [{drift: psi, above: 0.25, windows: 2}]
"""


def outcomes(fired):
    return [(one.triggers, one.outcome) for one in fired]


def test_a_run_waits_for_rows_after_the_change_and_follows_once_more(database, store):
    automation = Automation(database, store, policy=POLICY)
    place = (automation.all(tables.PolicyState)[0].model_id, "production")
    came = {}
    for number in range(5):
        automation.log(START + number * DAY, shift=8.0 if number else 0.0)
        came[number + 1] = outcomes(automation.pass_to(START + (number + 1) * DAY))
        with database.writing() as session:
            collection = find_collection(session, *place)
            if number + 1 == 3:
                assert (collection.stage, collection.rows) == ("collecting", 480)
                assert collection.since == START + DAY
            for run in session.exec(select(tables.Run)).all():
                run.state = "succeeded"
    assert came[3] == [(("drift",), "collecting")]
    assert came[4] == [(("collected",), "run")]
    assert came[5] == [(("collected",), "run")]
    runs = automation.all(tables.Run)
    changes = [datetime.fromisoformat(run.specification["changed_at"]) for run in runs]
    assert changes == [START + DAY] * 2
    assert collection.stage == "settled"
