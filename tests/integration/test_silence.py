"""A controller that is silent: logged, shown, told once past the outbox; and its heartbeat."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import timedelta

import pytest
from sqlalchemy import text

from mlreg.cli.notifications import heartbeat_of
from mlreg.cli.settings import Settings, SettingsError, read_settings
from mlreg.controller.scheduler import ControllerSettings, beat, run_scheduler
from mlreg.controller.services import silence
from mlreg.controller.services.heartbeat import Heartbeat
from mlreg.controller.services.leadership import note_tick
from mlreg.controller.services.silence import SilenceSettings, SilenceWatch
from mlreg.controller.store import silence as rows
from mlreg.registry.domain.targets import parse_target
from mlreg.registry.services import announcing
from mlreg.registry.services.deployments import Change, promote
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.posting import Postman, PostSettings
from mlreg.registry.services.webhooks import WebhookForm, create_webhook
from mlreg.registry.store.clock import SystemClock
from tests.alert_makers import Stream
from tests.faults.workers import PATIENCE_SECONDS
from tests.makers import PERSON, START, make_models
from tests.servers.whole_api import whole_api

HOUR = timedelta(hours=1)
EVERY_SECONDS = 0.3


def watch_of(database, receiver, after=60):
    postman = Postman(PostSettings(frozenset({receiver.place}), receiver.ca_file))
    return SilenceWatch(database, Dispatcher(postman), SilenceSettings(after))


def make_hook(database, receiver, name="hook", **options):
    form = {"kind": "slack", "topics": ["*"], **options}
    with database.writing() as session:
        create_webhook(session, WebhookForm(name, receiver.url, **form), actor=PERSON, now=START)


def topics(database):
    with database.reading() as session:
        return list(session.execute(text("SELECT topic FROM outbox_message ORDER BY id")).scalars())


def falls_silent(database, watch, *others):
    """The controller ticks, and not again for an hour; who watches has looked on all the while."""
    note_tick(database)
    watch.look()
    with database.writing() as session:
        session.execute(text("UPDATE leader SET ticked_at = ticked_at - interval '1 hour'"))
    for one in (watch, *others):
        one._since -= HOUR
    watch.look()


def test_a_silence_is_told_once_and_its_end_as_well(database, receiver):
    make_hook(database, receiver)
    make_hook(database, receiver, "pager", kind="pagerduty", routing_key="R")
    first, second = watch_of(database, receiver), watch_of(database, receiver)
    second.look()
    falls_silent(database, first, second)
    second.look()
    first.look()
    texts = [one.get("text", "") for one in receiver.bodies]
    assert len(texts) == 2
    assert any("the controller is silent since" in one for one in texts)
    paged = next(one for one in receiver.bodies if "dedup_key" in one)
    assert (paged["event_action"], paged["payload"]["severity"]) == ("trigger", "critical")
    assert first.state().startswith("silent since")
    assert topics(database) == ["controller.silent"]
    note_tick(database)
    note_tick(database)
    assert topics(database) == ["controller.silent", "controller.back"]
    first.look()
    assert first.state() == "ticking"
    falls_silent(database, first)  # another silence is told again
    assert len(receiver.bodies) == 4


def test_where_nobody_has_it_it_is_tried_again(database, receiver, monkeypatch):
    monkeypatch.setattr(silence, "ALARM_SECONDS", 0.1)
    make_hook(database, receiver)
    receiver.statuses[:] = [500]
    watch = watch_of(database, receiver)
    falls_silent(database, watch)
    assert topics(database) == []
    time.sleep(0.15)
    watch.look()
    assert len(receiver.received) == 2
    assert topics(database) == ["controller.silent"]
    time.sleep(0.15)
    watch.look()
    assert len(receiver.received) == 2


class Counting:
    """A dispatcher that calls something before each sending."""

    def __init__(self, dispatcher, before):
        self._dispatcher, self._before = dispatcher, before
        self.subscription_of = dispatcher.subscription_of

    def send(self, *sending):
        self._before()
        return self._dispatcher.send(*sending)


def test_who_tells_many_keeps_its_turn_and_who_lost_it_leaves_the_rest(
    database, receiver, monkeypatch
):
    monkeypatch.setattr(announcing, "AT_ONCE", 1)
    [make_hook(database, receiver, f"hook-{number}") for number in range(3)]
    first, second = watch_of(database, receiver), watch_of(database, receiver)
    second.look()
    turns = []

    def before():
        with database.writing() as session:
            turns.append(session.execute(text("SELECT alarm_until FROM leader")).scalar_one())
        second.look()  # it is not its turn
        if len(turns) == 2:  # the first sleeps past its turn, and the second takes it
            with database.writing() as session:
                gone = "UPDATE leader SET alarm_until = clock_timestamp() - interval '1 second'"
                session.execute(text(gone))
            second.look()

    first._dispatcher = Counting(first._dispatcher, before)
    falls_silent(database, first, second)
    assert len(turns) == 2
    assert turns[0] < turns[1]
    assert len(receiver.bodies) == 3 + 2
    assert topics(database) == ["controller.silent"]


def test_who_lost_its_turn_ends_no_others(database, receiver, monkeypatch):
    monkeypatch.setattr(announcing, "AT_ONCE", 1)
    [make_hook(database, receiver, f"hook-{number}") for number in range(3)]
    first, second = watch_of(database, receiver), watch_of(database, receiver)
    second.look()
    gone = text("UPDATE leader SET alarm_until = clock_timestamp() - interval '1 second'")

    def others_take_it():
        with database.writing() as session:
            session.execute(gone)
        with database.writing() as session:
            ticked_at = session.execute(text("SELECT ticked_at FROM leader")).scalar_one()
            assert rows.take_alarm(session, ticked_at, 60) is not None

    first._dispatcher = Counting(first._dispatcher, others_take_it)
    falls_silent(database, first, second)
    assert (len(receiver.bodies), topics(database)) == (1, [])
    with database.writing() as session:  # and these are killed on the way
        session.execute(gone)
    second.look()
    assert (len(receiver.bodies), topics(database)) == (1 + 3, ["controller.silent"])


def test_a_fresh_process_gives_the_controller_its_time(database, receiver):
    make_hook(database, receiver)
    note_tick(database)
    with database.writing() as session:
        session.execute(text("UPDATE leader SET ticked_at = ticked_at - interval '1 day'"))
    watch = watch_of(database, receiver, after=60)
    watch.look()
    assert (watch.state(), receiver.received) == ("unknown", [])


def test_a_sleep_of_the_machine_is_no_silence(database, receiver):
    watch = watch_of(database, receiver, after=60)
    note_tick(database)
    watch.look()
    with database.reading() as session:
        now = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    watch._since = watch._looked = now - silence.SLEEP * 100
    with database.writing() as session:
        session.execute(text("UPDATE leader SET ticked_at = ticked_at - interval '1 hour'"))
    watch.look()
    assert (watch.state(), topics(database)) == ("unknown", [])


def test_a_controller_that_never_was_is_not_missed(database, receiver):
    watch = watch_of(database, receiver, after=0.01)
    watch.look()
    time.sleep(0.05)
    watch.look()
    assert (watch.state(), topics(database)) == ("unknown", [])


def test_a_webhook_of_some_models_hears_nothing_of_it(database, receiver):
    make_models(database)
    make_hook(database, receiver, models=["flights"])
    falls_silent(database, watch_of(database, receiver))
    assert receiver.received == []


def test_the_api_says_so_and_stays_ready(postgres, template, tmp_path):
    with whole_api(postgres, template, tmp_path, "silent") as api:
        database = api.parts.database
        stream = Stream(database, make_models(database))
        for number in range(2):
            stream.drifts(number, "temp")
        with database.writing() as session:
            change = Change("flights", "production", PERSON, "because")
            promote(session, change, version=1, now=START, force=True)
        watch = api.app.state.parts.companions[0]
        falls_silent(database, watch)
        with urllib.request.urlopen(f"{api.url}/readyz") as answer:
            said = json.loads(answer.read())
        environment = {**os.environ, "MLREG_URL": api.url, "MLREG_TOKEN": api.token}
        words = [sys.executable, "-m", "mlreg.cli", "status"]
        status = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert "1 open alert" in " ".join(status.stdout.split())
    assert "the controller is silent since" in status.stderr
    assert said["status"] == "ready"
    assert said["controller"].startswith("silent since")


def test_a_tick_calls_the_heartbeat_and_a_standby_does_not(database, receiver):
    postman = Postman(PostSettings(frozenset({receiver.place}), receiver.ca_file))
    target = parse_target(f"https://{receiver.place}/ping/uuid")
    heartbeat = Heartbeat(postman, target, EVERY_SECONDS)
    stop = threading.Event()
    settings = ControllerSettings("leader", tick_seconds=0.1)
    leading = threading.Thread(
        target=run_scheduler,
        args=[database, SystemClock(), stop, settings],
        kwargs={"heartbeat": heartbeat},
    )
    started = time.monotonic()
    leading.start()
    while len(receiver.received) < 3:
        assert time.monotonic() - started < PATIENCE_SECONDS, "it does not call again"
        time.sleep(0.02)
    assert not beat(database, SystemClock(), ControllerSettings("standby"))
    stop.set()
    leading.join(PATIENCE_SECONDS)
    assert len(receiver.received) <= 1 + (time.monotonic() - started) / EVERY_SECONDS
    assert {one.path for one in receiver.received} == {"/ping/uuid"}


def test_a_heartbeat_that_fails_holds_up_nothing_and_shows_no_secret(receiver, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        postman = Postman(PostSettings(frozenset({place}), receiver.ca_file))
        heartbeat = Heartbeat(postman, parse_target(f"https://{place}/ping/s3cr3t"), 0.0)
        heartbeat.beat()
        assert heartbeat._busy.locked(), "who beats has waited for the end of the call"
    assert heartbeat._busy.acquire(timeout=10)
    assert "no heartbeat" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_the_heartbeat_is_https_and_its_setting_no_secret_in_errors(monkeypatch):
    base = {"database_url": "postgresql://u@h/d", "artifacts_url": "file:///x"}
    assert heartbeat_of(Settings(**base)) is None
    url = "https://hc-ping.com/uuid"
    assert heartbeat_of(Settings(**base, heartbeat_url=url)).target.shown == "https://hc-ping.com/…"
    monkeypatch.setenv("MLREG_DATABASE_URL", base["database_url"])
    monkeypatch.setenv("MLREG_ARTIFACTS_URL", base["artifacts_url"])
    monkeypatch.setenv("MLREG_HEARTBEAT_URL", "http://hc-ping.com/s3cr3t")
    with pytest.raises(SettingsError, match="MLREG_HEARTBEAT_URL") as caught:
        read_settings()
    assert "s3cr3t" not in str(caught.value)
