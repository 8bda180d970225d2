"""Threads of a server take their next turn, whatever the last one met."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from mlreg.controller.services import leases, standing_in
from mlreg.controller.services.heartbeats import Heartbeats
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.services.silence import SilenceSettings, SilenceWatch
from mlreg.registry.api import verifier
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.services.turns import turn

LONGEST = 60


class Turns:
    """Fails at each turn; `third` is set at the third."""

    def __init__(self):
        self.third = threading.Event()
        self._count = 0

    def __call__(self, *_anything):
        self._count += 1
        if self._count == 3:
            self.third.set()
        raise AssertionError("a bug")


def test_heartbeats_go_on(monkeypatch):
    turns = Turns()
    monkeypatch.setattr(leases, "heartbeat", turns)
    with Heartbeats(None, 0.03) as beats, beats.holding(SimpleNamespace(token="t", job_id=1)):
        assert turns.third.wait(LONGEST)


def test_the_watch_over_the_controller_goes_on():
    class Watch(SilenceWatch):
        look = Turns()

    watch = Watch(None, None, SilenceSettings(look_seconds=0.01))
    watch.start()
    assert watch.look.third.wait(LONGEST)
    watch.stop()


def test_who_stands_in_for_workers_looks_again(monkeypatch):
    monkeypatch.setattr(standing_in, "LOOK_SECONDS", 0.01)

    class Watch(standing_in.StandIn):
        look = Turns()

    watch = Watch(None, None)
    watch.start()
    assert watch.look.third.wait(LONGEST)
    watch.stop()


def test_who_is_there_says_so_again():
    turns = Turns()
    with Presence(SimpleNamespace(writing=turns), Introduction("a:1", "worker"), 0.01):
        assert turns.third.wait(LONGEST)


def test_uploads_are_verified_after_a_bug(monkeypatch):
    turns = Turns()
    monkeypatch.setattr(verifier, "verify_upload", turns)
    verifying = verifier.Verifier(None)
    for upload in "abc":
        verifying.ask(upload)
    assert turns.third.wait(LONGEST)
    verifying.stop()


@pytest.mark.parametrize(
    ("error", "level", "traced"),
    [
        (DatabaseUnreachableError(cause="away\nfor long"), logging.WARNING, False),
        (ZeroDivisionError("a bug"), logging.ERROR, True),
        (AssertionError(), logging.ERROR, True),
    ],
)
def test_what_is_to_be_expected_is_a_line_and_a_bug_its_traceback(caplog, error, level, traced):
    with turn(logging.getLogger("mlreg.worker"), "no heartbeat"):
        raise error
    (record,) = caplog.records
    assert (record.levelno, record.exc_info is not None) == (level, traced)
    assert record.getMessage().startswith("no heartbeat")
    assert "\n" not in record.getMessage()
