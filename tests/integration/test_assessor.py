"""An assessor judges a share of a tick: the same records, whatever befalls it."""

import io
import json
import os
import signal
import sys

import pytest
from sqlalchemy import text

from mlreg.cli.assessing import COMMAND
from mlreg.controller.services import shares
from mlreg.controller.services import tick as ticking
from mlreg.controller.services.assessing import assess
from mlreg.controller.services.assessor import Assessor
from mlreg.controller.services.leadership import Leadership, Reign, take_leadership
from mlreg.registry.store.tables import Environment
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.faults.workers import PATIENCE_SECONDS, await_true

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{schedule: "0 */6 * * *"}, {labelled_rows: 900}, {drift: psi, above: 0.25}]
combine: all
"""
LATER = START + DAY + 6 * HOUR
IDS = text("SELECT id FROM policy_state ORDER BY id")
JUDGED = text("SELECT policy_id, moment FROM trigger_record WHERE moment = :moment ORDER BY 1")


@pytest.fixture(autouse=True)
def _policies(database, store, monkeypatch):
    """Six policies, half of them the assessor's, of which each has something due."""
    monkeypatch.setattr(ticking, "FEW", 0)
    monkeypatch.setattr(shares, "MANY", 2)
    monkeypatch.setattr(shares, "BLOCK", 1)
    automation = Automation(database, store, policy=POLICY)
    automation.pass_to(START + DAY)
    for name in "bcdef":
        with database.writing() as session:
            session.add(Environment(name=name, created_at=START))
        automation.apply(POLICY.replace("model: flights", f"model: flights\nenvironment: {name}"))


@pytest.fixture
def assessor(database_url):
    one = Assessor(COMMAND, database_url, 60.0)
    await_true(one.is_there)
    yield one
    one.close()


def tick(database, assessor):
    reign = Reign(database, take_leadership(database, "a"))
    return ticking.tick(database, now=LATER, reign=reign, assessor=assessor)


def judged(database):
    with database.reading() as session:
        return session.execute(JUDGED, {"moment": LATER}).all()


def test_each_policy_is_judged_once_whoever_judges_it(database, assessor, monkeypatch):
    own, judge = [], shares.judge_chunk

    def judge_here(session, ids, now):
        own.extend(ids)
        return judge(session, ids, now)

    monkeypatch.setattr(shares, "judge_chunk", judge_here)
    report = tick(database, assessor)
    assert (report.judged, len(judged(database)), report.failed) == (6, 6, [])
    assert len(own) == 3
    assert tick(database, assessor).is_idle
    process = assessor._process
    process.stdin.close()  # as when the controller dies
    assert process.wait(PATIENCE_SECONDS) == 0


def test_its_answer_to_a_controller_that_was_killed_is_no_bug(assessor):
    process = assessor._process
    process.stdout.close()
    with assessor.asked([], LATER, Leadership("a", 1)):
        process.stdin.close()
    assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_what_a_lost_assessor_was_asked_for_is_judged_here(database, assessor, monkeypatch, fault):
    monkeypatch.setattr("mlreg.controller.services.assessor.PATIENCE_SECONDS", 0.5)
    os.kill(assessor.pid, fault)
    report = tick(database, assessor)
    assert (report.judged, len(judged(database)), report.failed) == (6, 6, [])
    assert not assessor.is_there()


def speaking(words, then=""):
    """Return an assessor that says these words, whatever it is asked, and ends."""
    program = f"import sys, time; sys.stdin.readline(); sys.stdout.write({words!r}); {then}"
    return Assessor((sys.executable, "-c", program), "", 60.0)


def test_one_that_dies_in_the_middle_of_an_answer_has_given_none():
    one = speaking('{"there": true}\n{"judged": 1')
    await_true(one.is_there)
    with one.asked([1], LATER, Leadership("a", 1)) as answer:
        assert answer(lambda: None) is None


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_who_asks_one_that_hangs_does_not_hang(monkeypatch):
    monkeypatch.setattr("mlreg.controller.services.assessor.PATIENCE_SECONDS", 0.1)
    one = speaking('{"there": true}\n', then="sys.stdout.flush(); time.sleep(3600)")
    await_true(one.is_there)
    with one.asked(list(range(100_000)), LATER, Leadership("a", 1)) as answer:
        assert answer(lambda: None) is None
    assert one.pid is None


def test_an_assessor_writes_nothing_under_a_lost_leadership(database, database_url):
    with database.reading() as session:
        ids = list(session.execute(IDS).scalars())
    lost = take_leadership(database, "a", ttl_seconds=0.0)
    held = take_leadership(database, "b")

    def answer_to(leadership):
        asked = {"ids": ids, "now": LATER.isoformat()}
        asked |= {"holder": leadership.holder, "epoch": leadership.epoch}
        where = {"url": database_url, "idle_seconds": 60.0}
        answers = io.StringIO()
        assess(io.StringIO(f"{json.dumps(where)}\n{json.dumps(asked)}\n"), answers)
        return json.loads(answers.getvalue().splitlines()[-1])

    assert (answer_to(lost), judged(database)) == ({"lost": True}, [])
    assert answer_to(held)["judged"] == len(judged(database)) == 6
