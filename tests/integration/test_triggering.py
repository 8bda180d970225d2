"""Triggers in the controller: other models' news, quiet hours, and what is kept of each look."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.services import following, invariant_readings, previewing, runs
from mlreg.controller.services.calling import Caller, call_trigger
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.controller.services.invariants import apply_invariants
from mlreg.controller.services.rehearsing import rehearse_policy
from mlreg.controller.services.trigger_records import find_look, let_go
from mlreg.controller.store import tables
from mlreg.controller.store import upstream as upstream_rows
from mlreg.registry.services import deployments, retirement
from mlreg.registry.store.tables import Installation, Version
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.faults.workers import await_true
from tests.feedback_makers import make_model
from tests.makers import PERSON, make_version

MINUTE = timedelta(minutes=1)
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {upstream: weather@champion}
  - {upstream: weather@version}
quiet_hours: {from: "22:00", to: "06:00"}
cooldown: 1m
retrain: {rounds: 10}
"""


@pytest.fixture
def automation(database, store):
    found = Automation(database, store, policy=None, now=START + 8 * HOUR)
    found.weather = make_model(database, "weather")
    with database.writing() as session:
        make_version(session, found.weather, 1)
    found.apply(POLICY)
    return found


def serve(automation, at):
    with automation.database.writing() as session:
        change = deployments.Change("weather", "production", PERSON, "because")
        deployments.promote(session, change, version=1, now=at, force=True)


def register(automation, number):
    with automation.database.writing() as session:
        make_version(session, automation.weather, number)
        session.flush()
        version = session.get_one(Version, (automation.weather.id, number))
        version.created_at = automation.clock_now


def test_news_of_another_model_are_seen_at_the_next_beat_and_once(automation):
    assert automation.pass_to(START + 9 * HOUR) == []  # what was there is not new
    serve(automation, START + 9 * HOUR)
    (fired,) = automation.pass_to(START + 9 * HOUR + MINUTE)
    assert (fired.triggers, fired.outcome) == (("upstream",), "run")
    (firing,) = automation.all(tables.Firing)
    assert firing.readings[0]["because"].startswith("version 1 of weather came to serve")
    assert automation.pass_to(START + 10 * HOUR) == []
    with automation.database.reading() as session:
        assert not upstream_rows.has_news(session)


def test_in_quiet_hours_it_waits_and_runs_when_they_end(automation):
    automation.clock_now = START + 23 * HOUR
    register(automation, 2)
    (held,) = automation.pass_to(START + 23 * HOUR)
    assert (held.triggers, held.outcome) == (("upstream:2",), "quiet")
    assert automation.pass_to(START + DAY) == []
    (state,) = automation.all(tables.PolicyState)
    assert PolicyMemory.from_json(state.memory).waiting.until == START + 30 * HOUR
    (fired,) = automation.pass_to(START + 30 * HOUR)
    assert (fired.triggers, fired.outcome) == (("upstream:2",), "run")


def end_runs(automation):
    with automation.database.writing() as session:
        for run in session.exec(select(tables.Run).where(tables.Run.state == "queued")):
            run.state = "succeeded"
            session.add(run)


def of_first(firing):
    """Return what the first trigger of a firing was told, by the key of each piece."""
    return [one.get("version") for one in firing.readings[0]["readings"]]


def test_news_wait_for_the_open_run_then_for_its_cooldown_and_count_once(automation):
    automation.apply(POLICY.replace("1m", "3h"))
    serve(automation, START + 9 * HOUR)
    (first,) = automation.pass_to(START + 9 * HOUR)
    assert first.outcome == "run"
    automation.clock_now = START + 10 * HOUR
    register(automation, 2)
    assert [one.outcome for one in automation.pass_to(START + 10 * HOUR)] == ["busy"]
    register(automation, 3)
    assert automation.pass_to(START + 10 * HOUR + MINUTE) == []
    end_runs(automation)
    assert [one.outcome for one in automation.pass_to(START + 11 * HOUR)] == ["cooldown"]
    assert automation.all(tables.PolicyState)[0].next_fire_at == START + 12 * HOUR
    (fired,) = automation.pass_to(START + 12 * HOUR)
    assert (fired.triggers, fired.outcome) == (("upstream:2",), "run")
    assert of_first(automation.all(tables.Firing)[-1]) == [2, 3]
    end_runs(automation)
    assert automation.pass_to(START + 20 * HOUR) == []


def test_news_wait_until_a_freeze_is_lifted_and_the_look_is_at_once(automation):
    freeze(automation)
    register(automation, 2)
    assert [one.outcome for one in automation.pass_to(START + 9 * HOUR)] == ["frozen"]
    assert automation.pass_to(START + 10 * HOUR) == []
    freeze(automation, deployments.unfreeze)
    (fired,) = automation.pass_to(START + 10 * HOUR + MINUTE)
    assert (fired.outcome, of_first(automation.all(tables.Firing)[-1])) == ("run", [2])


def test_another_text_keeps_what_waits_for_the_triggers_that_stay(automation):
    freeze(automation)
    serve(automation, START + 9 * HOUR)
    register(automation, 2)
    assert [one.outcome for one in automation.pass_to(START + 9 * HOUR)] == ["frozen"]
    automation.apply(POLICY.replace("  - {upstream: weather@champion}\n", "  - {webhook: go}\n"))
    freeze(automation, deployments.unfreeze)
    (fired,) = automation.pass_to(START + 10 * HOUR)
    assert (fired.triggers, fired.outcome) == (("upstream",), "run")  # it has another place
    assert of_first(automation.all(tables.Firing)[-1]) == [2]


def freeze(automation, verb=deployments.freeze):
    with automation.database.writing() as session:
        verb(session, deployments.Change("flights", "production", PERSON, "x"), now=START)


def test_a_rehearsal_counts_the_rows_since_the_last_run_before_it(database, store):
    counts = POLICY.partition("  - ")[0] + "  - {labelled_rows: 900}\nretrain: {rounds: 10}\n"
    automation = Automation(database, store, policy=counts.replace("900", "9000"))
    for number in range(2):
        automation.log(START + number * DAY)
    automation.pass_to(START + 3 * DAY)
    at = automation.clock_now
    in_force = automation.apply(counts)
    with database.writing() as session:
        asked = {"lane": "full", "cause": "manual", "actor": PERSON, "now": at}
        place = {
            "model": automation.model,
            "environment": "production",
            "policy_id": in_force.policy_id,
        }
        before = rehearse_policy(session, in_force, None, at + 31 * DAY)
        runs.request_run(session, **place, **asked)
        after = rehearse_policy(session, in_force, None, at + 31 * DAY)
    assert (before.runs, after.runs) == (1, 0)


def test_a_state_that_is_locked_is_told_later_and_nobody_waits(automation):
    register(automation, 2)
    with automation.database.writing() as session:
        (state,) = automation.all(tables.PolicyState)
        session.get_one(tables.PolicyState, state.id, with_for_update=True)
        following.wake(automation.database, START + 9 * HOUR)
    following.wake(automation.database, START + 9 * HOUR)
    (state,) = automation.all(tables.PolicyState)
    assert state.memory["woken"] == (START + 9 * HOUR).isoformat()


WAITS = text("""
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ILIKE '%woken%'
""")


def test_a_policy_that_is_being_judged_looks_again_afterwards(automation):
    (state,) = automation.all(tables.PolicyState)

    def ask():
        with automation.database.writing() as session:
            session.execute(text("SET LOCAL lock_timeout = '60s'"))
            place = (state.model_id, state.environment)
            upstream_rows.look_again(session, place, START + 9 * HOUR)

    def waits():
        with automation.database.reading() as session:
            return session.execute(WAITS).first() is not None

    with ThreadPoolExecutor() as pool:
        with automation.database.writing() as session:
            session.get_one(tables.PolicyState, state.id, with_for_update=True)
            asked = pool.submit(ask)
            await_true(lambda: waits() or asked.done())
        asked.result()
    (state,) = automation.all(tables.PolicyState)
    assert state.memory["woken"] == (START + 9 * HOUR).isoformat()


def test_each_look_is_kept_for_its_days(automation):
    automation.pass_to(START + DAY)
    with automation.database.reading() as session:
        look = find_look(session, "flights", "production", None)
    assert [one.trigger for one in look.found] == ["upstream", "upstream:2"]
    assert look.found[0].missing == "a new champion"
    kept = len(automation.all(tables.TriggerRecord))
    settings = ChoreSettings(trigger_record_days=1)
    room = ChoreRoom(automation.database, automation.store, START, settings)
    assert let_go(room) == "0 records of looks at triggers went"
    with automation.database.writing() as session:
        session.exec(select(Installation)).one().virtual_now = look.moment + DAY + HOUR
    assert let_go(room) == f"{kept} records of looks at triggers went"


WRONG = [
    ("[{upstream: flights}]", "line 3: triggers[0].upstream: a model that follows itself"),
    ("[{every: 1d}, {upstream: wether}]", "line 3: triggers[1].upstream: no model 'wether'"),
    ("[{invariant: x-known}]", "no invariant 'x-known'; it has none"),
    ('[{drift: "business:revenu", below: 5}]', "nothing was ever posted as 'revenu'"),
    ("[{every: 1d}, {predictions: 9}]\ncombine: {at_least: 2, within: 6h}", "line 4: combine"),
    ("[{webhook: a}, {webhook: a}]", "'a' is declared twice"),
]


def test_what_is_not_there_is_named_with_its_line(automation):
    for triggers, problem in WRONG:
        with pytest.raises(InvalidPolicyError) as caught:
            automation.apply(f"model: flights\ndata: {{label_delay: 1d}}\ntriggers: {triggers}\n")
        assert problem in str(caught.value)


def test_whom_one_may_not_read_one_may_not_follow(database, store):
    automation = Automation(database, store, policy=None, now=START + 8 * HOUR)
    make_model(database, "weather")
    outsider = replace(PERSON, models=frozenset({"flights"}))
    with pytest.raises(InvalidPolicyError) as caught:
        automation.apply(POLICY, outsider)
    assert "no model 'weather'" in str(caught.value)
    assert automation.apply(POLICY).number == 1
    assert automation.apply(POLICY.replace("1m", "2m"), outsider).number == 2  # it is already


def test_models_that_retrain_each_other_are_warned_of(automation):
    def warned(text):
        with automation.database.reading() as session:
            now = automation.clock_now
            return previewing.preview_policy(session, text, actor=PERSON, now=now).warnings

    follows = "model: {}\ndata: {{label_delay: 1d}}\ntriggers: [{{upstream: {}}}]\n"
    make_model(automation.database, "snow")
    text = follows.format("weather", "snow@champion")
    assert warned(text) == []
    automation.apply(follows.format("snow", "flights@champion"))  # and flights follows weather
    (warning,) = warned(text)
    assert "line 3: triggers[0].upstream: what comes of 'snow' comes of 'weather'" in warning
    assert len(warned(text.replace("champion", "version"))) == 1
    assert warned(text.replace("}]", "}, {every: 1d}]\ncombine: all")) == []


@pytest.mark.parametrize("retire", [retirement.archive_model, retirement.delete_model])
def test_a_model_that_takes_no_version_is_looked_at_and_not_retrained(database, store, retire):
    text = "model: flights\ndata: {label_delay: 1d}\ntriggers: [{webhook: go}]\ncooldown: 1h\n"
    automation = Automation(database, store, policy=text, promoted=False)
    how = {"actor": PERSON, "now": START}
    with database.writing() as session:
        call_trigger(session, Caller("flights", "production", "go", {}), **how)
        retire(session, "flights", reason="old", **how)
    (held,) = automation.pass_to(START + HOUR)
    assert held.outcome == "archived"
    assert automation.pass_to(START + 2 * DAY) == []
    (state,) = automation.all(tables.PolicyState)
    assert state.evaluated_until == START + 2 * DAY
    with database.writing() as session:
        retirement.restore_model(session, "flights", reason="", **how)
    (fired,) = automation.pass_to(START + 3 * DAY)
    assert fired.outcome == "run"


def test_what_came_while_nobody_followed_is_not_new(automation):
    automation.apply(POLICY.replace("upstream: weather@version", "labelled_rows: 5000"))
    register(automation, 2)
    assert automation.pass_to(START + 9 * HOUR) == []
    automation.apply(POLICY)
    assert automation.pass_to(START + DAY + 7 * HOUR) == []


def test_a_followed_model_that_is_deleted_ends_no_other_trigger(automation):
    automation.apply(POLICY.replace("upstream: weather@version", "every: 1h"))
    with automation.database.writing() as session:
        retirement.delete_model(session, "weather", reason="old", actor=PERSON, now=START)
    fired = automation.pass_to(START + 9 * HOUR)
    assert [one.triggers for one in fired] == [("every",)]


BROKEN = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{invariant: any}]
cooldown: 1m
retrain: {rounds: 10}
"""


def test_a_broken_invariant_is_told_of_as_soon_as_it_was_checked(database, store):
    automation = Automation(database, store, policy=None)
    with database.writing() as session:
        text = "{model: flights, invariants: [{name: cold, range: temp, max: -100}]}"
        apply_invariants(session, text, actor=PERSON, now=START)
    automation.apply(BROKEN)
    automation.log(START)
    automation.clock_now = START + DAY
    extra = ("invariants", invariant_readings.HANDLER)
    firings = []
    for _ in range(4):
        firings += automation.tick().firings
        automation.work(extra)
    (fired,) = firings
    assert (fired.triggers, fired.outcome) == (("invariant",), "run")
    assert "cold 1" in automation.all(tables.Firing)[0].readings[0]["because"]
