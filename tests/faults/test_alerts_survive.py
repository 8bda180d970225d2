"""Alerts under faults: killed half-way, told to receivers that are dead, and come in a storm."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from mlreg.controller.services import delivering, silence
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.controller.services.leadership import note_tick
from mlreg.controller.services.silence import SilenceSettings, SilenceWatch
from mlreg.controller.store.tables import Incident
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.posting import Postman, PostSettings
from mlreg.registry.services.webhooks import WebhookForm, create_webhook
from tests.alert_makers import Stream
from tests.integration.test_webhooks import NOW, SEND, claim_no_more
from tests.makers import PERSON, START, make_models


@pytest.fixture
def stream(database):
    return Stream(database, make_models(database))


@pytest.fixture
def room(database, receiver):
    posts = PostSettings(frozenset({receiver.place}), receiver.ca_file)
    return ChoreRoom(database, None, NOW, ChoreSettings(posts=posts))


def make_hook(database, url, name="hook", **options):
    form = {"kind": "cloudevents", "topics": ["*"], **options}
    with database.writing() as session:
        create_webhook(session, WebhookForm(name, url, **form), actor=PERSON, now=START)


def run_process(url, *words, failpoint=""):
    environment = {
        **os.environ,
        "MLREG_FAILPOINT": failpoint,
        "PYTHONPATH": os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "tests.faults.watching_process", url, *map(str, words)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == (-9 if failpoint else 0), done.stderr
    return done


def test_killed_between_alert_and_notice_all_of_it_or_nothing(
    database, database_url, stream, receiver, room
):
    """SIGKILL with the alert written and its event left, before the commit; then the retry."""
    make_hook(database, receiver.url)
    stream.drifts(0, "temp")
    words = ("drift", stream.place[0], 1, "temp")
    run_process(database_url, *words, failpoint="alert.told")
    assert [one.state for one in stream.alerts()] == ["pending"]
    assert (stream.events(), stream.entries()) == ([], [])
    delivering.send(room)
    assert receiver.received == []
    for _ in range(2):  # the job is done, and done again
        run_process(database_url, *words)
    delivering.send(room)
    assert [one.state for one in stream.alerts()] == ["open"]
    assert [one["type"] for one in receiver.bodies] == ["dev.mlreg.alert.opened"]
    assert [what for what, _ in stream.entries()] == ["opened"]


def test_killed_after_the_receivers_answer_it_comes_again_under_the_same_key(
    database, database_url, stream, receiver, room
):
    make_hook(database, receiver.url, kind="pagerduty", routing_key="R")
    for number in range(2):
        stream.drifts(number, "temp")
    words = [sys.executable, "-c", SEND, database_url, receiver.place, str(receiver.ca_file)]
    environment = {**os.environ, "MLREG_FAILPOINT": "webhook.sent"}
    done = subprocess.run(words, env=environment, check=False, capture_output=True)
    assert done.returncode == -9
    stream.drifts(2)
    stream.drifts(3)
    claim_no_more(database)
    delivering.send(room)
    actions = [one["event_action"] for one in receiver.bodies]
    assert actions == ["trigger", "trigger", "resolve"]
    keys = {one["dedup_key"] for one in receiver.bodies}
    assert len(keys) == 1
    assert keys.pop().endswith("/alert/1")


def test_a_dead_receiver_holds_up_neither_alerts_nor_others(database, stream, receiver, room):
    make_hook(database, receiver.url, "dead")
    make_hook(database, receiver.url, "live", kind="slack")
    receiver.statuses[:] = [500, 500]
    with database.writing() as session:
        dead = "UPDATE webhook SET url = 'https://localhost:1/x' WHERE name = 'dead'"
        session.execute(text(dead))
    for number in range(4):
        stream.drifts(number, *(["temp"] if number < 2 else []))
        delivering.send(room)
    receiver.statuses.clear()
    with database.writing() as session:
        session.execute(text("UPDATE webhook SET not_before = NULL"))
        session.execute(
            text("UPDATE webhook SET url = :url WHERE name = 'dead'"), {"url": receiver.url}
        )
    delivering.send(room)
    told = [one["type"] for one in receiver.bodies if "specversion" in one]
    assert told == ["dev.mlreg.alert.opened", "dev.mlreg.alert.resolved"]
    texts = {one["text"] for one in receiver.bodies if "text" in one}
    assert len(texts) == 2


FEATURES = [f"feature_{number:03}" for number in range(500)]


def test_a_storm_of_five_hundred_features_is_one_alert(database, stream, receiver, room):
    make_hook(database, receiver.url, kind="slack")
    started = time.process_time()
    for number in range(3):
        stream.drifts(number, *FEATURES)
    seconds = time.process_time() - started
    delivering.send(room)
    (alert,) = stream.alerts()
    assert alert.culprits == FEATURES
    assert alert.title == "drift of feature_000, feature_001, feature_002 and 497 more"
    assert len(receiver.received) == 1
    assert len(receiver.received[0].body) < 1_000
    (entry,) = stream.entries()
    assert entry[0] == "opened"
    assert seconds < 5  # 1,500 readings written and looked at
    for number in range(3, 6):
        stream.drifts(number)
    delivering.send(room)
    assert len(receiver.received) == 2
    assert stream.all(Incident) == []


def test_an_api_killed_before_it_tells_of_a_silence_leaves_it_to_another(
    database, database_url, receiver, monkeypatch
):
    monkeypatch.setattr(silence, "ALARM_SECONDS", 0.1)
    make_hook(database, receiver.url, kind="slack")
    note_tick(database)
    with database.writing() as session:
        session.execute(text("UPDATE leader SET ticked_at = ticked_at - interval '1 hour'"))
    run_process(database_url, "silence", failpoint="silence.taken")
    postman = Postman(PostSettings(frozenset({receiver.place}), receiver.ca_file))
    watch = SilenceWatch(database, Dispatcher(postman), SilenceSettings(0.1))
    watch.look()
    time.sleep(0.2)
    watch.look()
    assert receiver.received == []  # the dead one's time is not over
    with database.writing() as session:
        session.execute(text("UPDATE leader SET alarm_until = clock_timestamp()"))
    watch.look()
    watch.look()
    assert len(receiver.received) == 1
