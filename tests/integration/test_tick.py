"""Ticks over a real log: windows, outages, triggers, firings."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlmodel import select

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.scheduler import ControllerSettings, beat
from mlreg.controller.services import runs
from mlreg.controller.services.leadership import take_leadership
from mlreg.controller.services.policies import set_enabled
from mlreg.controller.services.tick import tick
from mlreg.controller.services.unjudged import Failing
from mlreg.controller.store import tables
from mlreg.registry.store.clock import SystemClock
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation
from tests.makers import PERSON


def test_a_closed_window_is_read_once_its_batches_are_drained(database, store):
    automation = Automation(database, store)
    automation.log(START)
    automation.clock_now = START + DAY
    assert automation.tick().windows == 0  # the batches still wait
    assert automation.work() == ["drain"]
    assert automation.tick().windows == 1
    assert automation.readings("rows") == [(START, "final", 480.0)]
    assert automation.readings("psi", "temp")[0][2] < 0.1
    assert automation.readings("auc") == [(START, "immature", None)]
    assert automation.tick().is_idle


def test_labels_are_measured_when_they_are_mature(database, store):
    automation = Automation(database, store)
    automation.log(START)
    automation.pass_to(START + DAY)
    assert dict(automation.states("auc"))[START] == "immature"
    automation.pass_to(START + 2 * DAY)
    assert dict(automation.states("auc"))[START] == "final"
    assert 0.7 < automation.value("auc", START) < 0.95
    assert automation.value("labelled", START) == 480.0
    assert automation.value("skill_log_loss", START) > 0.05


def test_a_schedule_fires_once_a_day_and_asks_for_a_run(database, store):
    automation = Automation(database, store)
    fired = automation.pass_to(START + DAY + 4 * HOUR)
    assert [(one.triggers, one.outcome) for one in fired] == [(("schedule",), "run")]
    (firing,) = automation.all(tables.Firing)
    assert firing.fire_at == START + DAY + 3 * HOUR
    assert firing.readings[0]["readings"][0]["missed"] == 1  # yesterday's three o'clock
    (run,) = automation.all(tables.Run)
    assert (run.firing_id, run.lane, run.cause) == (firing.id, "refit", "schedule")
    assert [job.kind for job in automation.all(tables.Job)].count("train") == 1
    assert automation.pass_to(START + DAY + 5 * HOUR) == []


def test_a_second_firing_meets_the_run_that_is_still_open(database, store):
    automation = Automation(database, store)
    automation.pass_to(START + DAY)
    (fired,) = automation.pass_to(START + 2 * DAY)
    assert fired.outcome == "busy"


def end_runs(automation, seconds, *, ago=timedelta()):
    """Have every run succeed, having trained so many seconds, so long ago by real time."""
    with automation.database.writing() as session:
        for run in session.exec(select(tables.Run)).all():
            run.state, run.train_seconds = "succeeded", seconds
            paid = tables.Cost(run_id=run.id, model_id=run.model_id, environment=run.environment)
            paid.policy, paid.attempt, paid.at = True, 1, datetime.now(UTC) - ago
            paid.seconds = paid.train_seconds = seconds
            session.add(paid)


def test_within_the_cooldown_a_firing_is_recorded_and_nothing_runs(database, store):
    automation = Automation(database, store, policy=POLICY.replace("cooldown: 1h", "cooldown: 2d"))
    automation.pass_to(START + DAY)
    end_runs(automation, 5.0)
    (fired,) = automation.pass_to(START + 2 * DAY)
    assert fired.outcome == "cooldown"
    assert len(automation.all(tables.Run)) == 1


@pytest.mark.parametrize(("ago", "outcome"), [(6 * DAY, "budget"), (8 * DAY, "run")])
def test_seconds_of_training_are_those_of_the_last_week_by_real_time(database, store, ago, outcome):
    bounded = "cooldown: 1h\nbudget: {train_seconds_per_week: 5}"
    automation = Automation(database, store, policy=POLICY.replace("cooldown: 1h", bounded))
    automation.pass_to(START + DAY)
    end_runs(automation, 5.0, ago=ago)
    (fired,) = automation.pass_to(START + 2 * DAY)  # by business time it was yesterday
    assert fired.outcome == outcome


def test_a_run_that_was_cancelled_before_it_began_takes_nothing_of_the_budget(database, store):
    bounded = "cooldown: 1h\nbudget: {runs_per_week: 1}"
    automation = Automation(database, store, policy=POLICY.replace("cooldown: 1h", bounded))
    (first,) = automation.pass_to(START + DAY)
    with database.writing() as session:
        runs.cancel_run(session, first.run_id, "", actor=PERSON, now=automation.clock_now)
    (fired,) = automation.pass_to(START + 2 * DAY)
    assert fired.outcome == "run"


def test_a_frozen_deployment_fires_and_does_not_run(database, store):
    from mlreg.registry.services import deployments
    from tests.makers import PERSON

    automation = Automation(database, store)
    with database.writing() as session:
        change = deployments.Change("flights", "production", PERSON, "because")
        deployments.freeze(session, change, now=START)
    (fired,) = automation.pass_to(START + DAY)
    assert fired.outcome == "frozen"
    assert automation.all(tables.Run) == []


DRIFT = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{drift: psi, above: 0.25, windows: 2}]
"""


def test_drift_fires_after_two_windows(database, store):
    automation = Automation(database, store, policy=DRIFT)
    for number, shift in enumerate([0.0, 8.0, 8.0]):
        automation.log(START + number * DAY, shift=shift)
        fired = automation.pass_to(START + (number + 1) * DAY)
        assert len(fired) == (number == 2)
    (firing,) = automation.all(tables.Firing)
    assert {one["subject"] for one in firing.readings[0]["readings"]} == {"temp"}


def test_drift_fires_of_rows_that_come_a_little_after_their_window(database, store):
    automation = Automation(database, store, policy=DRIFT)
    for number, shift in enumerate([0.0, 8.0, 8.0]):
        closed = START + (number + 1) * DAY
        assert automation.pass_to(closed) == []
        automation.log(START + number * DAY, at=closed + HOUR, shift=shift)
        fired = automation.pass_to(closed + 2 * HOUR)
        assert len(fired) == (number == 2)
    assert automation.pass_to(closed + 3 * HOUR) == []


def test_an_outage_is_one_incident_and_no_drift(database, store):
    automation = Automation(database, store, policy=DRIFT)
    automation.log(START, broken=range(20, 24))
    automation.log(START + DAY, broken=range(24))
    automation.log(START + 2 * DAY, broken=range(6))
    automation.log(START + 3 * DAY)
    for number in range(1, 5):
        assert automation.pass_to(START + number * DAY) == []
    (outage,) = automation.all(tables.Outage)
    assert (outage.start, outage.end) == (START + 20 * HOUR, START + 2 * DAY + 6 * HOUR)
    assert outage.features == ["temp"]
    (incident,) = automation.all(tables.Incident)
    assert (incident.kind, incident.state) == ("outage", "closed")
    lines = [entry.line for entry in automation.all(tables.IncidentEntry)]
    told = [line.split(":")[1].strip() for line in lines if line.startswith("alert 1:")]
    assert told == ["opened", "resolved"]
    assert len(lines) == 2 + len(told)
    states = ["outage", "outage", "outage", "final"]
    assert [state for _, state in automation.states("rows")] == states
    automation.pass_to(START + 5 * DAY)
    measured = dict(automation.states("auc"))
    assert [measured[START + number * DAY] for number in range(4)] == states


def test_an_outage_that_began_yesterday_takes_back_yesterdays_reading(database, store):
    automation = Automation(database, store)
    automation.log(START, broken=range(22, 24), rows=960)
    automation.pass_to(START + DAY)
    assert automation.states("rows") == [(START, "final")]  # two hours are not told yet
    automation.log(START + DAY, broken=range(5), rows=960)
    automation.pass_to(START + 2 * DAY)
    assert automation.all(tables.Outage)[0].start == START + 22 * HOUR
    assert automation.value("rows", START) == 880.0


def test_while_the_outage_is_open_a_schedule_does_not_run(database, store):
    automation = Automation(database, store)
    automation.log(START, broken=range(12, 24))
    (fired,) = automation.pass_to(START + DAY + 3 * HOUR)
    assert fired.outcome == "outage"
    assert automation.all(tables.Run) == []


def test_volume_counts_matured_labelled_rows_once(database, store):
    policy = DRIFT.replace("{drift: psi, above: 0.25, windows: 2}", "{labelled_rows: 900}")
    automation = Automation(database, store, policy=policy)
    for number in range(3):
        automation.log(START + number * DAY)
        automation.log(START + number * DAY)  # the very same batches again
    assert automation.pass_to(START + 2 * DAY) == []
    (fired,) = automation.pass_to(START + 3 * DAY)
    assert fired.triggers == ("labelled_rows",)


def test_performance_fires_when_skill_is_lost(database, store):
    trigger = "{performance: auc, drop: 0.1, min_rows: 400}"
    policy = DRIFT.replace("{drift: psi, above: 0.25, windows: 2}", trigger)
    automation = Automation(database, store, policy=policy)
    fired = []
    for number, quality in enumerate([1.0, 1.0, 0.1, 0.1, 0.1]):
        automation.log(START + number * DAY, quality=quality)
        fired += automation.pass_to(START + (number + 1) * DAY)
    assert [one.triggers for one in fired] == [("performance",)] * len(fired)
    first = automation.all(tables.Firing)[0]
    assert first.fire_at == START + 4 * DAY  # the third day, one day of labels later


def test_an_empty_window_holds_everything(database, store):
    policy = DRIFT.replace(
        "[{drift: psi, above: 0.25, windows: 2}]",
        "[{drift: psi, above: 0.0001, windows: 1, min_rows: 1}, {labelled_rows: 1},"
        " {performance: auc, drop: 0.0001, min_rows: 1}]",
    )
    automation = Automation(database, store, policy=policy)
    for number in range(1, 5):
        assert automation.pass_to(START + number * DAY) == []
    assert {state for _, state, _ in automation.readings("rows")} == {"empty"}


def test_a_disabled_policy_does_nothing(database, store):
    automation = Automation(database, store)
    with database.writing() as session:
        set_enabled(session, "flights", "production", enabled=False, actor=PERSON, now=START)
    automation.log(START)
    assert automation.pass_to(START + 2 * DAY) == []
    assert automation.readings("rows") == []


def test_what_was_due_while_it_was_disabled_is_not_caught_up(database, store):
    policy = POLICY.replace('"0 3 * * *"', '"0 3 * * *", catch_up: all')
    automation = Automation(database, store, policy=policy)
    for enabled, now in ((False, START + DAY), (True, START + 9 * DAY + 4 * HOUR)):
        with database.writing() as session:
            set_enabled(session, "flights", "production", enabled=enabled, actor=PERSON, now=now)
    automation.pass_to(START + 10 * DAY + 4 * HOUR)
    found = [one.fire_at for one in automation.all(tables.Firing)]
    assert found == [START + 3 * HOUR, START + 10 * DAY + 3 * HOUR]


def test_a_comment_in_a_policy_arms_nothing_again_and_misses_nothing(database, store):
    policy = POLICY.replace('{schedule: "0 3 * * *"}', "{labelled_rows: 900}\n  - {every: 1d}")
    automation = Automation(database, store, policy=policy)

    def memory():
        return PolicyMemory.from_json(automation.all(tables.PolicyState)[0].memory)

    with database.writing() as session:
        state = session.exec(select(tables.PolicyState)).one()
        was = PolicyMemory.from_json(state.memory)._replace(spent={"labelled_rows": ("",)})
        state.memory = was.to_json()
        session.add(state)
    automation.clock_now = START + DAY
    assert automation.apply(policy.replace("rounds: 10", "rounds: 11") + "# why").number == 2
    assert memory() == was
    automation.apply(policy.replace("900", "901"))
    assert (memory().judged_at, memory().spent) == (START + DAY, {})


def test_all_needs_every_trigger_to_hold(database, store):
    policy = POLICY.replace(
        '  - {schedule: "0 3 * * *"}',
        '  - {schedule: "0 3 * * 1"}\n  - {labelled_rows: 900}\ncombine: all',
    )
    automation = Automation(database, store, policy=policy)  # 1 July 2013 is a Monday
    fired = []
    for number in range(5):
        automation.log(START + number * DAY)
        fired += automation.pass_to(START + (number + 1) * DAY)
    assert [one.triggers for one in fired] == [("labelled_rows", "schedule")]
    assert automation.all(tables.Firing)[0].fire_at == START + 3 * DAY


def test_the_controller_catches_up_after_a_long_sleep(database, store):
    automation = Automation(database, store)
    for number in range(5):
        automation.log(START + number * DAY)
    fired = automation.pass_to(START + 5 * DAY + 10 * HOUR)
    assert [one.outcome for one in fired] == ["run"]
    assert len(automation.readings("rows")) == 5
    assert automation.all(tables.Firing)[0].readings[0]["readings"][0]["missed"] == 5


def test_a_tick_with_nothing_due_is_a_few_questions(database, store):
    automation = Automation(database, store)
    automation.log(START)
    automation.pass_to(START + DAY)
    automation.clock_now += timedelta(minutes=1)
    asked = []
    event.listen(database.engine, "before_cursor_execute", lambda *of: asked.append(of[2]))
    assert automation.tick().is_idle
    assert len(asked) <= 12


def test_after_a_pause_one_passing_error_is_no_incident_and_one_that_lasts_is(database, store):
    automation, failing = Automation(database, store), Failing()
    automation.pass_to(START + DAY)
    with database.writing() as session:
        session.execute(text("UPDATE policy SET body = '{}'"))
    counts = []
    for minutes in (0, 4, 5):  # it was due hours ago: the controller was down
        now = START + 2 * DAY + timedelta(minutes=minutes)
        assert tick(database, now=now, failing=failing).failed
        counts.append(len(automation.all(tables.Incident)))
    assert counts == [0, 0, 1]


def test_a_controller_that_does_not_lead_counts_anew(database):
    failing = Failing()
    failing.look([1], START)
    assert take_leadership(database, "other") is not None
    assert not beat(database, SystemClock(), ControllerSettings("standby"), failing=failing)
    assert failing.look([1], START + DAY) == []
