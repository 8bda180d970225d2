"""Targets of the operator: enrolled from the settings, told through Apprise, in no trace."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import select

from mlreg.cli.notifications import read_targets
from mlreg.cli.settings import Settings, SettingsError
from mlreg.controller.domain.alert_rule import AlertRules
from mlreg.controller.services import delivering
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.registry.domain.notice_targets import NoticeTarget, NoticeTargets
from mlreg.registry.services import notifying
from mlreg.registry.services.enrolling import enrol
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.services.webhooks import (
    WebhookForm,
    create_webhook,
    get_webhook,
    list_deliveries,
    send_test,
    switch_webhook,
)
from mlreg.registry.store.tables import Webhook
from tests.alert_makers import Stream
from tests.makers import PERSON, START, make_models
from tests.servers.receiver import DRIP_SECONDS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "s3cr3t-of-the-target"


def url_of(receiver, path="hook"):
    return f"jsons://user:{SECRET}@{receiver.place}/{path}?verify=no"


def targets_of(**urls):
    return NoticeTargets({name: NoticeTarget(url=SecretStr(url)) for name, url in urls.items()})


def room_of(database, receiver, targets):
    posts = PostSettings(frozenset({receiver.place}), receiver.ca_file)
    return ChoreRoom(database, None, NOW, ChoreSettings(posts=posts, targets=targets))


@pytest.fixture
def stream(database):
    return Stream(database, make_models(database))


def test_a_target_is_enrolled_and_told_of_alerts(database, receiver, stream):
    targets = targets_of(team=url_of(receiver))
    assert enrol(database, targets, START) == ["team"]
    assert enrol(database, targets, START) == []
    for number in range(2):
        stream.drifts(number, "temp")
    room = room_of(database, receiver, targets)
    assert delivering.send(room) == "1 sent"
    assert delivering.send(room) == "0 sent"
    (told,) = receiver.bodies
    assert told["title"] == "mlreg: alert.opened"
    line = "alert 1 (warning) of flights in production: drift of temp"
    assert told["message"] == f"{line}: unusual in 2 of 2 windows"
    assert told["type"] == "warning"
    with database.reading() as session:
        webhook = get_webhook(session, "team", actor=PERSON)
    assert (webhook.kind, webhook.url, webhook.last_outcome) == (
        "apprise",
        "apprise:team",
        "delivered",
    )


def test_it_is_told_of_what_the_file_says_and_follows_a_change(database, receiver):
    enrol(database, targets_of(team=url_of(receiver)), START)
    target = NoticeTarget(url=SecretStr(url_of(receiver)), topics=("run.failed",), models=("m",))
    assert enrol(database, NoticeTargets({"team": target}), START) == ["team"]
    with database.reading() as session:
        webhook = get_webhook(session, "team", actor=PERSON)
    assert (webhook.topics, webhook.models) == (["run.failed"], ["m"])


def test_a_target_may_want_only_what_is_loud(database, receiver, stream):
    loud = NoticeTarget(url=SecretStr(url_of(receiver)), min_severity="critical")
    targets = NoticeTargets({"pager": loud})
    enrol(database, targets, START)
    for number in range(2):
        stream.drifts(number, "temp")
    room = room_of(database, receiver, targets)
    assert delivering.send(room) == "0 sent"
    stream.rules = AlertRules.model_validate_json('{"drift": {"severity": "critical"}}')
    stream.drifts(2, "temp")
    assert delivering.send(room) == "1 sent"
    assert receiver.bodies[0]["title"] == "mlreg: incident.opened"


def test_what_somebody_disabled_or_named_is_left(database, receiver):
    enrol(database, targets_of(team=url_of(receiver)), START)
    with database.writing() as session:
        switch_webhook(session, "team", enabled=False, actor=PERSON, now=START)
        form = WebhookForm("other", receiver.url, "slack", ["*"])
        create_webhook(session, form, actor=PERSON, now=START)
    enrol(database, targets_of(team=url_of(receiver), other=url_of(receiver)), START)
    with database.reading() as session:
        assert not get_webhook(session, "team", actor=PERSON).enabled
        assert get_webhook(session, "other", actor=PERSON).kind == "slack"


def test_a_dead_target_is_tried_again_and_holds_up_no_other(database, receiver, stream):
    dead = f"jsons://user:{SECRET}@localhost:1/?verify=no"
    targets = targets_of(dead=dead, live=url_of(receiver))
    enrol(database, targets, START)
    for number in range(2):
        stream.drifts(number, "temp")
    room = room_of(database, receiver, targets)
    assert delivering.send(room) == "1 sent"
    assert len(receiver.bodies) == 1
    with database.writing() as session:
        failing = get_webhook(session, "dead", actor=PERSON)
        assert failing.attempts == 1
        assert failing.last_outcome == "target dead: the service (jsons) did not take it"
        session.execute(text("UPDATE webhook SET not_before = NULL"))
    assert delivering.send(room_of(database, receiver, targets_of(dead=url_of(receiver)))) == (
        "1 sent"
    )
    assert len(receiver.bodies) == 2


def test_a_target_that_this_server_does_not_know_waits_for_one_that_does(database, receiver):
    enrol(database, targets_of(team=url_of(receiver)), START)
    with database.writing() as session:
        send_test(session, "team", actor=PERSON, now=START)
    delivering.send(room_of(database, receiver, NoticeTargets()))
    with database.reading() as session:
        (delivery,) = list_deliveries(session, "team", actor=PERSON, limit=5)
    assert delivery.error == "no target 'team' is declared on this server"


def test_a_target_that_never_answers_has_a_bounded_time(receiver, monkeypatch):
    monkeypatch.setattr(notifying, "CHILD_SECONDS", 1.5)
    targets = targets_of(slow=f"{url_of(receiver, 'drip')}&rto=60&cto=60")
    started = time.monotonic()
    with pytest.raises(notifying.NotTakenError, match="no end after 2 seconds"):
        notifying.notify(targets, "apprise:slow", b'{"title": "t", "body": "b", "type": "info"}')
    assert time.monotonic() - started < DRIP_SECONDS / 2


def test_no_secret_is_in_the_database_a_log_or_an_error(database, receiver, stream, caplog):
    caplog.set_level(logging.DEBUG)
    targets = targets_of(a=url_of(receiver), b=f"nonsense://{SECRET}", c=f"jsons://x:{SECRET}@[")
    enrol(database, targets, START)
    receiver.statuses[:] = [500]
    for number in range(2):
        stream.drifts(number, "temp")
    delivering.send(room_of(database, receiver, targets))
    with database.reading() as session:
        outcomes = [one.last_outcome for one in session.exec(select(Webhook)).all()]
        rows = [
            str(session.execute(text(f"SELECT * FROM {name}")).all())
            for name in ("webhook", "webhook_delivery", "audit_entry", "outbox_message")
        ]
    assert all(outcomes)
    assert SECRET not in " ".join([*rows, *outcomes, caplog.text, repr(targets)])


def settings_of(**options):
    return Settings(database_url="postgresql://u@h/d", artifacts_url="file:///x", **options)


def test_targets_come_of_a_private_file_and_of_a_setting(tmp_path):
    path = tmp_path / "targets.yaml"
    path.write_text("team:\n  url: 'json://u:p@h/'\n  topics: [alert.opened]\n")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_targets(settings_of(notifications_file=path))
    path.chmod(0o600)
    found = read_targets(
        settings_of(notifications_file=path, notify_urls="json://a/ mailto://b@c")
    ).by_name
    assert sorted(found) == ["notify-1", "notify-2", "team"]
    assert found["team"].topics == ("alert.opened",)
    assert list(read_targets(settings_of(notify_urls="json://a/")).by_name) == ["notify"]
    assert read_targets(settings_of()).by_name == {}


@pytest.mark.parametrize(
    "content",
    ["team: {url: x, topics: [nonsense]}", "Team: {url: x}", "team: {urls: x}", "- [", "team: 1"],
)
def test_a_file_that_is_wrong_is_named_and_its_values_are_not(tmp_path, content):
    path = tmp_path / "targets.yaml"
    path.write_text(content.replace("x", SECRET))
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="MLREG_NOTIFICATIONS_FILE") as caught:
        read_targets(settings_of(notifications_file=path))
    assert SECRET not in str(caught.value)


def test_a_resolved_alert_is_a_success(database, receiver, stream):
    targets = targets_of(team=url_of(receiver))
    enrol(database, targets, START)
    for number in range(4):
        stream.drifts(number, *(["temp"] if number < 2 else []))
    delivering.send(room_of(database, receiver, targets))
    assert [one["type"] for one in receiver.bodies] == ["warning", "success"]
