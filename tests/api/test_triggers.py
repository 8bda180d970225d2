"""Triggers over HTTP and from the command line: calls, firing by hand, and why nothing fired."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from mlreg.cli.commands.policy_triggers import _lines
from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.client.transport import Call, path
from mlreg.client.wire.runs import RetrainRequest
from mlreg.client.wire.triggers import WhyAnswer
from mlreg.controller.api import policies, runs, triggers
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.services.calling import MAX_PAYLOAD_BYTES, MAX_WAITING
from mlreg.controller.store import tables
from mlreg.registry.store.clock import SystemClock
from tests.api.test_doors import call
from tests.automation_makers import Automation

HOUR = timedelta(hours=1)
CALLED = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {webhook: new-prices}
  - {labelled_rows: 1000}
  - {drift: psi, above: 0.2, windows: {k: 2, of: 3}}
cooldown: 1h
retrain: {rounds: 10}
"""


@pytest.fixture
def extra_routers():
    return (policies.router, triggers.router, runs.router)


@pytest.fixture
def automation(database, store):
    return Automation(database, store, policy=CALLED, now=datetime.now(UTC))


def test_a_call_is_judged_at_the_next_beat_and_its_payload_is_kept(client, automation):
    taken = client.triggers.call("flights", "new-prices", {"batch": "A7", "password": "x"})
    assert (taken.trigger, taken.serial) == ("new-prices", 1)
    (fired,) = automation.pass_to(taken.at)
    assert (fired.triggers, fired.outcome) == (("webhook",), "run")
    (row,) = automation.all(tables.Firing)
    evidence = row.readings[0]["readings"][0]
    assert evidence["payload"] == {"batch": "A7", "password": "[redacted]"}
    assert evidence["by"]
    assert automation.pass_to(taken.at + HOUR) == []


def test_a_call_comes_now_whatever_the_clock_of_the_apis_machine_says(
    client, automation, monkeypatch
):
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + 2 * HOUR)
    client.policies.apply(CALLED.replace("1000", "2000"))
    taken = client.triggers.call("flights", "new-prices", {})
    (state,) = automation.all(tables.PolicyState)
    judged = PolicyMemory.from_json(state.memory).judged_at
    run = client.runs.request("flights", RetrainRequest(lane="full"))
    assert max(taken.at, judged, run.created_at) < datetime.now(UTC) + HOUR
    client.runs.cancel(run.number)
    monkeypatch.undo()
    (fired,) = automation.pass_to(taken.at)
    assert fired.triggers == ("webhook",)


def test_one_key_calls_once(client, automation):
    request = Call(
        "POST",
        path("models", "flights", "policies", "production", "triggers", "new-prices"),
        content=b"{}",
        headers={"Idempotency-Key": "k1"},
    )
    first, second = (json.loads(client.transport.send(request).body) for _ in range(2))
    assert first == second
    (fired,) = automation.pass_to(datetime.fromisoformat(first["at"]))
    assert len(automation.all(tables.Firing)[0].readings[0]["readings"]) == 1
    assert fired.outcome == "run"


def test_where_business_time_stands_still_a_call_is_not_lost(client, automation):
    """The policy was looked at at the very moment of the call, and nothing is later than it."""
    (state,) = automation.all(tables.PolicyState)
    client.triggers.call("flights", "new-prices")
    with automation.database.writing() as session:
        found = session.get_one(tables.PolicyState, state.id)
        judged = found.memory["calls"][0]["at"]
        found.memory = {**found.memory, "judged_at": judged}
        session.add(found)
    assert len(automation.pass_to(datetime.fromisoformat(judged))) == 1


def test_by_hand_nothing_but_an_open_run_stops_it(client, automation):
    with pytest.raises(InvalidError, match="needs a reason"):
        client.triggers.fire("flights", " ")
    taken = client.triggers.fire("flights", "prices were wrong all day")
    (fired,) = automation.pass_to(taken.at)
    assert (fired.triggers, fired.outcome) == (("manual",), "run")
    again = client.triggers.fire("flights", "once more")
    (fired,) = automation.pass_to(again.at)
    assert fired.outcome == "busy"
    assert "prices were wrong all day" in automation.all(tables.Firing)[0].readings[0]["because"]


def test_a_call_that_waits_is_told_with_what_it_waits_for(api, client, automation):
    taken = client.triggers.call("flights", "new-prices", {"batch": "A7"})
    automation.pass_to(taken.at)
    again = client.triggers.call("flights", "new-prices", {"batch": "A8"})
    (fired,) = automation.pass_to(again.at)
    answer = client.triggers.why("flights")
    assert (fired.outcome, answer.outcome, answer.waiting.why) == ("busy", "busy", "busy")
    assert (answer.waiting.until, list(answer.waiting.triggers)) == (None, ["webhook"])
    printed = " ".join("\n".join(_lines(answer)).split())
    assert f"waits for the open run to end: webhook (since {again.at:%Y-%m-%d %H:%M})" in printed
    _, _, page = call(api, "GET", "/models/flights/monitors", token=api.token)
    assert "For the open run to end: webhook (since " in page.decode()


def test_what_is_refused(client, automation):
    with pytest.raises(NotFoundError, match="no webhook 'news'; it has new-prices"):
        client.triggers.call("flights", "news")
    with pytest.raises(InvalidError, match="payload of"):
        client.triggers.call("flights", "new-prices", {"x": "y" * MAX_PAYLOAD_BYTES})
    for _ in range(MAX_WAITING):
        client.triggers.call("flights", "new-prices")
    with pytest.raises(RefusedError, match="wait to be judged already"):
        client.triggers.call("flights", "new-prices")
    client.policies.disable("flights")
    with pytest.raises(RefusedError, match="is disabled"):
        client.triggers.fire("flights", "why not")
    assert automation.all(tables.Firing) == []


def test_why_says_of_each_trigger_what_is_missing(client, automation):
    with pytest.raises(NotFoundError, match="were not judged yet"):
        client.triggers.why("flights")
    taken = client.triggers.call("flights", "new-prices")
    automation.pass_to(taken.at)
    answer = client.triggers.why("flights")
    assert [one.trigger for one in answer.triggers] == ["webhook", "labelled_rows", "drift"]
    assert [one.holds for one in answer.triggers] == [True, False, False]
    assert (answer.outcome, answer.run, answer.needed) == ("run", 1, 1)
    assert answer.triggers[1].missing == "1,000 more labelled rows"
    with pytest.raises(NotFoundError, match="were not judged by"):
        client.triggers.why("flights", at=taken.at - HOUR)
    assert client.triggers.why("flights", at=taken.at + HOUR).moment == answer.moment
    printed = "\n".join(_lines(answer))
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert "labelled_rows: does not hold" in printed
    assert "a firing: run (run 1); any of 3 must hold" in printed.replace("\n", " ")
    assert isinstance(answer, WhyAnswer)
