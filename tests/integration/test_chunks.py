"""Policies judged together end as they would have ended alone."""

import json

import pytest
from sqlalchemy import text

from mlreg.controller.domain.collecting import Collection
from mlreg.controller.domain.outage import Suspicion
from mlreg.controller.services import beat, shares
from mlreg.controller.services import tick as ticking
from mlreg.controller.services.chunks import judge_chunk
from mlreg.controller.services.closed_chunk import read_chunk
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.leadership import LeadershipLostError
from mlreg.controller.store import tables
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.store.database import WriteSession
from mlreg.registry.store.tables import Environment
from tests.automation_makers import DAY, HOUR, START, Automation, labels_of, rows_of

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {schedule: "0 */6 * * *"}
  - {labelled_rows: 900}
  - {drift: psi, above: 0.25, windows: 2}
combine: {at_least: 2}
cooldown: 1h
"""
REMEMBERED = text("SELECT memory, next_fire_at, evaluated_until FROM policy_state")
RECORDED = text("""
    SELECT policy_id, moment, found FROM trigger_record ORDER BY moment, policy_id
""")


def stand(session):
    statements = (REMEMBERED, RECORDED)
    return [tuple(one) for statement in statements for one in session.execute(statement)]


def together(database, now):
    """Judge the one policy there is as a chunk, say how it stands then, and undo it."""
    with database.engine.begin() as connection, WriteSession(connection) as session:
        ids = session.execute(text("SELECT id FROM policy_state")).scalars().all()
        chunk = judge_chunk(session, ids, now)
        found = stand(session)
        connection.rollback()
    return chunk, found


def test_what_comes_of_nothing_is_the_same_together_and_alone(database, store):
    automation = Automation(database, store, policy=POLICY)
    compared = left = fired = 0
    for number in range(3):
        automation.log(START + number * DAY, shift=8.0 if number == 2 else 0.0)
        for hour in range(24, 48, 6):
            now = START + number * DAY + hour * HOUR
            if hour == 24:
                fired += len(automation.pass_to(now))  # windows are read alone
                continue
            chunk, found = together(database, now)
            automation.clock_now = now
            report = automation.tick()
            fired += len(report.firings)
            if chunk.left:
                left += 1
                assert report.windows or report.firings or not report.judged
            else:
                compared += 1
                assert chunk.judged == report.judged
                with database.reading() as session:
                    assert stand(session) == found
    assert compared > 2
    assert fired > 0


def alike(automation):
    """Judge the one policy there is together and alone; return what became of it together."""
    chunk, found = together(automation.database, automation.clock_now)
    report = automation.tick()
    assert (chunk.judged, chunk.windows) == (report.judged, report.windows)
    with automation.database.reading() as session:
        assert stand(session) == found
    return chunk


def test_who_waits_for_a_window_to_be_measured_moves_on_together_as_alone(database, store):
    automation = Automation(database, store, policy=POLICY.replace("*/6", "0"))
    automation.log(START)
    automation.pass_to(START + DAY)
    automation.log(START + DAY)
    automation.clock_now = START + 2 * DAY
    automation.tick()
    automation.work()
    assert automation.tick().windows == 1
    waiting = alike(automation)
    assert (waiting.judged, waiting.windows, waiting.left) == (0, 0, [])
    assert automation.work() == ["measure"]
    table, _ = rows_of(START, seed=1)
    automation.accept("predictions", "late", table, START + 2 * DAY - HOUR)
    undrained = alike(automation)
    assert (undrained.judged, undrained.windows, undrained.left) == (0, 0, [])
    with database.writing() as session:
        session.execute(text("DELETE FROM batch WHERE segment IS NULL"))
    measured = alike(automation)
    assert (measured.judged, measured.windows, measured.left) == (1, 1, [])


def test_a_policy_that_was_just_applied_is_due_no_more_together_as_alone(database, store):
    automation = Automation(database, store, policy=POLICY)
    applied = alike(automation)
    assert (applied.judged, applied.left) == (0, [])
    with database.reading() as session:
        ((_, due, _),) = session.execute(REMEMBERED)
    assert due > automation.clock_now


def test_who_has_windows_to_read_is_noticed_and_read_alone(database, store):
    automation = Automation(database, store, policy=POLICY)
    chunk, found = together(database, START + DAY)
    assert (chunk.judged, chunk.left, len(chunk.closed)) == (0, [], 1)
    ((memory, *_),) = found
    assert memory["noticed"] == [(START + DAY).isoformat()] * 2
    automation.clock_now = START + DAY
    assert automation.tick().windows == 1


def test_a_policy_that_fires_is_left_to_be_taken_alone(database, store):
    automation = Automation(
        database, store, policy=POLICY.replace("combine: {at_least: 2}", "combine: any")
    )
    automation.pass_to(START + DAY)
    chunk, found = together(database, START + DAY + 6 * HOUR)
    assert (chunk.judged, len(chunk.left)) == (0, 1)
    with database.reading() as session:
        assert stand(session) == found


def test_a_policy_that_collects_rows_is_left_to_be_taken_alone(database, store):
    automation = Automation(database, store, policy=POLICY)
    automation.pass_to(START + DAY)
    form = json.dumps(Collection(START, START, needed=700).to_json())
    collects = "jsonb_set(memory, '{collection}', CAST(:form AS jsonb))"
    with database.writing() as session:
        session.execute(text(f"UPDATE policy_state SET memory = {collects}"), {"form": form})
    chunk, _ = together(database, START + DAY + 6 * HOUR)
    assert (chunk.judged, len(chunk.left)) == (0, 1)


def test_one_policy_that_cannot_be_judged_stops_no_other(database, store, monkeypatch):
    monkeypatch.setattr(ticking, "FEW", 0)
    automation = Automation(database, store, policy=POLICY)
    automation.pass_to(START + DAY)
    with database.writing() as session:
        session.add(Environment(name="b", created_at=START))
    automation.apply(POLICY.replace("model: flights", "model: flights\nenvironment: b"))
    with database.writing() as session:
        session.execute(text("UPDATE policy SET body = '{}' WHERE environment = 'b'"))
    automation.clock_now = START + DAY + 6 * HOUR
    report = automation.tick()
    assert len(report.failed) == 1
    with database.reading() as session:
        judged = session.execute(text("SELECT max(moment) FROM trigger_record")).scalar_one()
    assert judged == automation.clock_now
    automation.tick()
    (incident,) = automation.all(tables.Incident)
    assert (incident.kind, incident.environment) == ("unjudged_policy", "b")
    with database.writing() as session:
        session.execute(text("UPDATE policy_state SET enabled = environment <> 'b'"))
    automation.tick()
    assert [one.state for one in automation.all(tables.Incident)] == ["closed"]


def test_only_the_policy_that_fired_says_when_it_last_did(database, store):
    automation = Automation(
        database, store, policy=POLICY.replace("combine: {at_least: 2}", "combine: any")
    )
    automation.pass_to(START + DAY)
    with database.writing() as session:
        session.add(Environment(name="b", created_at=START))
    automation.apply(POLICY.replace("model: flights", "model: flights\nenvironment: b"))
    automation.clock_now = START + DAY + 6 * HOUR
    assert len(automation.tick().firings) == 1
    with database.reading() as session:
        last = text("SELECT environment, last_fired_at FROM policy_state")
        assert {row[0]: row[1] for row in session.execute(last)} == {
            "production": automation.clock_now,
            "b": None,
        }


def several_policies(database, store, environments):
    automation = Automation(database, store, policy=POLICY)
    for name in environments:
        with database.writing() as session:
            session.add(Environment(name=name, created_at=START))
        automation.apply(POLICY.replace("model: flights", f"model: flights\nenvironment: {name}"))
    return automation


@pytest.mark.parametrize("few", [8, 0])
def test_each_policy_reads_what_closed_however_many_others_do(database, store, monkeypatch, few):
    monkeypatch.setattr(ticking, "FEW", few)
    automation = several_policies(database, store, "bcd")
    monkeypatch.setattr(beat, "MAX_WINDOWS_PER_TICK", 1)
    automation.clock_now = START + DAY
    assert automation.tick().windows == 4
    monkeypatch.setattr(beat, "MANY_WINDOWS", 3)
    automation.clock_now = START + DAY + DAY
    assert [automation.tick().windows for _ in range(3)] == [3, 1, 0]


@pytest.mark.parametrize(
    ("few", "where", "does"),
    [(8, ticking, "tick_policy"), (0, shares, "judge_chunk"), (0, shares, "read_chunk")],
)
def test_without_a_database_the_rest_of_a_tick_is_left_to_the_next(
    database, store, monkeypatch, few, where, does
):
    automation = several_policies(database, store, "bcdef")
    looks = []

    def cut_off(session, *of):
        looks.append(of)
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr(ticking, "FEW", few)
    monkeypatch.setattr(shares, "CHUNK", 1)
    monkeypatch.setattr(shares, "CLOSED", 1)
    automation.clock_now = START + DAY
    monkeypatch.setattr(where, does, cut_off)
    with pytest.raises(DatabaseUnreachableError):
        automation.tick()
    assert len(looks) == 1


WRITTEN = (
    text("SELECT * FROM reading ORDER BY monitor, subject, start, environment"),
    text("SELECT kind, payload, dedupe_key, priority FROM job ORDER BY id"),
    text("SELECT * FROM late_hour"),
    text("SELECT * FROM outage"),
    text("SELECT kind, subject, state FROM alert"),
)


def written(session):
    """Return all that a window leaves behind, but for the numbers of its rows."""
    tables_of = [session.execute(statement).mappings().all() for statement in WRITTEN]
    return [[{**row, "id": None} for row in found] for found in tables_of], stand(session)


def read_as_alone(automation, now):
    """Read the one policy's window together and alone, each from here; return the chunk.

    What was done together is undone.
    """
    automation.clock_now = now
    with automation.database.engine.begin() as connection, WriteSession(connection) as session:
        closed = judge_chunk(session, state_ids(session), now).closed
        chunk = read_chunk(session, closed, now)
        judged = judge_chunk(session, chunk.read, now)
        found = written(session)
        connection.rollback()
    report = automation.tick()
    if closed and not chunk.left:
        counts = (chunk.windows + judged.windows, chunk.jobs, judged.judged)
        assert counts == (report.windows, report.jobs, report.judged)
        with automation.database.reading() as session:
            assert written(session) == found
    return chunk


def state_ids(session):
    return session.execute(text("SELECT id FROM policy_state")).scalars().all()


def drained(automation):
    drain_model(automation.database, automation.store, automation.model.id, now=automation.now())


def test_a_window_is_read_together_as_alone(database, store):
    automation = Automation(database, store, policy=POLICY.replace("*/6", "0"))
    together_read = 0
    for number in range(3):
        automation.log(START + number * DAY)
        automation.clock_now = START + (number + 1) * DAY - HOUR
        drained(automation)
        now = START + (number + 1) * DAY
        if number == 2:  # they came after midnight, and before the day was read
            table, values = rows_of(START + 2 * DAY, seed=5)
            automation.accept("labels", "more", labels_of(table, values), now + HOUR)
            automation.accept("predictions", "again", table, now + HOUR)
            automation.clock_now = now = now + HOUR
            drained(automation)
            assert len(automation.all(tables.LateHour)) == 24
        chunk = read_as_alone(automation, now)
        together_read += not chunk.left and chunk.windows > 0
        while automation.work():
            automation.tick()
    assert together_read == 3


MORE_COMES_OF = {
    "rows that came late": """
        INSERT INTO late_hour SELECT model_id, environment, :start - interval '1 hour'
        FROM policy_state""",
    "a suspicion": """
        UPDATE policy_state SET memory = jsonb_set(memory, '{suspicion}', CAST(:suspicion AS jsonb))
        """,
    "an outage": """
        INSERT INTO outage (model_id, start, "end", features, share)
        SELECT model_id, :start, :start + interval '9 hours', '["rain"]', 1 FROM policy_state""",
    "an alert": """
        INSERT INTO alert (model_id, environment, kind, subject, title, severity, state, culprits,
                           memory, created_at)
        SELECT model_id, environment, 'drift', '', 'drift', 'warning', 'open', '[]', '{}', :start
        FROM policy_state""",
    "a reading": """
        INSERT INTO reading (model_id, environment, monitor, subject, start, "end", rows, state,
                             created_at)
        SELECT model_id, environment, 'rows', '', :start, :start + interval '1 hour', 1, 'final',
               :start
        FROM policy_state""",
    "a business value": """
        INSERT INTO business_value (model_id, environment, name, key, at, value, posted_at,
                                    posted_by)
        SELECT model_id, environment, 'income', '1', :start, 1, :start, 'me' FROM policy_state""",
    "invariants": """
        INSERT INTO invariant_set (model_id, number, source, body, created_at, created_by)
        SELECT model_id, 1, '', '{}', :start, 'me' FROM policy_state""",
    "so many rows as never before": """
        INSERT INTO rolled_profile (model_id, contract, version, width, start, rows, body)
        SELECT model_id, contract, version, 'day', :start - number * interval '1 day', rows, body
        FROM window_profile, generate_series(1, 28) AS number WHERE start = :start""",
    "hours without a profile": "DELETE FROM window_profile WHERE start < :start + interval '9h'",
    "a champion without a reference": "DELETE FROM reference_profile",
    "a mature window that is asked for": """
        INSERT INTO job (kind, payload, state, priority, turn, dedupe_key, attempt, max_attempts,
                         enqueued_at)
        SELECT 'measure', '{}', 'queued', 20, 0,
               'measure:' || model_id || ':production:2013-06-30T00:00:00+00:00', 0, 3, :start
        FROM policy_state""",
    "several mature windows": """
        UPDATE policy_state
        SET memory = jsonb_set(memory, '{matured_until}', '"2013-06-29T00:00:00+00:00"')""",
}
"""What keeps a window from being read with others, and how it comes about."""


def test_windows_of_which_more_comes_are_left_to_be_read_alone(database, store):
    automation = Automation(database, store, policy=POLICY)
    automation.log(START)
    automation.clock_now = now = START + DAY
    drained(automation)
    suspicion = Suspicion(START - HOUR, START, 1, 9, {"rain": 1.0}).to_json()
    values = {"start": START, "suspicion": json.dumps(suspicion)}
    left = {}
    for name, statement in {"nothing": "SELECT", **MORE_COMES_OF}.items():
        with database.engine.begin() as connection, WriteSession(connection) as session:
            session.execute(text("DELETE FROM late_hour"))
            session.execute(text(statement), values)
            before = written(session)
            left[name] = read_chunk(session, state_ids(session), now).left
            assert (written(session) == before) == (name != "nothing"), name
            connection.rollback()
    assert left.pop("nothing") == []
    assert [name for name, ids in left.items() if not ids] == []


def test_who_leads_no_more_reads_no_windows(database, store):
    automation = Automation(database, store, policy=POLICY)

    class Ended:
        def keep(self):
            pass

        def check(self, session):
            assert session.execute(text("SELECT count(*) FROM reading")).scalar_one() > 0
            raise LeadershipLostError(holder="a", epoch=1)

    automation.log(START)
    automation.clock_now = START + DAY
    drained(automation)
    with database.reading() as session:
        ids, before = state_ids(session), written(session)
    with pytest.raises(LeadershipLostError):
        shares.read_some(database, ids, automation.clock_now, Ended())
    with database.reading() as session:
        assert written(session) == before
