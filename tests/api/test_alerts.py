"""Alerts over HTTP and from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.controller.api import alerts
from mlreg.registry.services import access
from mlreg.registry.store.clock import SystemClock
from tests.alert_makers import DAY, Stream
from tests.makers import make_models


@pytest.fixture
def extra_routers():
    return (alerts.router,)


@pytest.fixture
def stream(database):
    stream = Stream(database, make_models(database))
    for number in range(2):
        stream.drifts(number, "temp", "wind", "humidity", "pressure", "visibility")
    return stream


def test_list_show_snooze_and_close(client, stream):
    (listed,) = client.alerts.list(model="flights", state="open").items
    assert (listed.kind, listed.severity, listed.entries) == ("drift", "warning", [])
    shown = client.alerts.get(listed.number)
    assert [one.what for one in shown.entries] == ["opened"]
    assert shown.entries[0].readings[0]["subject"] == "temp"
    snoozed = client.alerts.snooze(listed.number, timedelta(days=3))
    assert snoozed.snoozed_until - SystemClock().now() > timedelta(days=2)
    assert client.alerts.unsnooze(listed.number).snoozed_until is None
    with pytest.raises(RefusedError, match="is not snoozed"):
        client.alerts.unsnooze(listed.number)
    until = SystemClock().now() + DAY
    assert client.alerts.snooze(listed.number, until).snoozed_until == until
    closed = client.alerts.close(listed.number, "a new fare system")
    assert (closed.state, closed.entries[-1].line) == ("closed", "a new fare system")
    with pytest.raises(RefusedError, match="closed already"):
        client.alerts.close(listed.number)
    assert client.alerts.list(state="open").items == []
    with pytest.raises(NotFoundError):
        client.alerts.get(99)
    assert [one.topic for one in stream.events()] == [
        "alert.opened",
        "alert.snoozed",
        "alert.snoozed",
        "alert.resolved",
    ]


@pytest.mark.usefixtures("stream")
def test_a_snooze_ends_after_it_begins(client):
    (alert,) = client.alerts.list().items
    with pytest.raises(InvalidError):
        client.alerts.snooze(alert.number, SystemClock().now() - DAY)


def test_what_is_only_watched_is_no_alert_yet(client, stream):
    stream.drifts(5, "rain", monitor="null_share")
    assert [one.kind for one in client.alerts.list().items] == ["drift"]
    with pytest.raises(NotFoundError):
        client.alerts.get(max(one.id for one in stream.alerts()))


@pytest.mark.usefixtures("stream")
def test_an_alert_of_another_model_is_not_there(api, database):
    make_models(database, "fraud")
    with database.writing() as session:
        issued = access.issue_token(
            session,
            "other",
            kind="service",
            role="operator",
            models=["fraud"],
            actor=access.SYSTEM,
            now=SystemClock().now(),
        )
    with api.client(issued.bearer) as narrow:
        assert narrow.alerts.list().items == []
        for act in (narrow.alerts.get, narrow.alerts.close, narrow.alerts.unsnooze):
            with pytest.raises(NotFoundError):
                act(1)


@pytest.fixture
def cli(api):
    def run(*words, code=0):
        environment = {**os.environ, "MLREG_URL": api.url, "MLREG_TOKEN": api.token}
        done = subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *words],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.usefixtures("stream")
def test_the_command_line(cli):
    listed = cli("alert", "list", "--open")
    assert all(len(line) <= 80 for line in listed.splitlines())
    assert "drift of temp, wind," in listed
    shown = cli("alert", "show", "1")
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "psi of temp: 1 (100 rows)" in shown
    assert "alert 1 is snoozed until" in cli("alert", "snooze", "1", "--for", "3d")
    assert "snoozed" in cli("alert", "list")
    assert "snoozed no more" in cli("alert", "unsnooze", "1")
    assert "--for or --until" in cli("alert", "snooze", "1", code=2)
    assert json.loads(cli("--json", "alert", "list"))["items"][0]["culprits"][0] == "temp"
    assert "alert 1 is closed" in cli("alert", "close", "1", "--reason", "seen")
