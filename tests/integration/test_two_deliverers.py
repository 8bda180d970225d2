"""Several processes that deliver events at once: one sends to a webhook, each event once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from mlreg.registry.services.delivery import Round, deliver
from mlreg.registry.services.dispatch import Answer, Dispatcher
from mlreg.registry.services.posting import Postman, PostSettings
from tests.faults.workers import PATIENCE_SECONDS
from tests.integration.test_webhooks import claim_no_more, make, tell_of, webhook

NOW = datetime(2026, 3, 1, tzinfo=UTC)
COUNT = 4


class Slow:
    """A dispatcher that waits at the first event until it may go on; `error` is its answer then."""

    def __init__(self, postman, error=None):
        self._dispatcher, self._error = Dispatcher(postman), error
        self.subscription_of = self._dispatcher.subscription_of
        self.began, self.go_on = threading.Event(), threading.Event()

    def send(self, webhook, event, now):
        self.began.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        answer = self._dispatcher.send(webhook, event, now)
        return answer if self._error is None else Answer(None, self._error)


@pytest.fixture
def postman(receiver):
    return Postman(PostSettings(frozenset({receiver.place}), receiver.ca_file))


@pytest.fixture
def deliver_by(database, receiver):
    make(database, receiver.url)
    tell_of(database, *range(COUNT))

    def deliver_by(dispatcher):
        return deliver(Round(database, dispatcher, NOW, threading.Event()))

    return deliver_by


def ids(receiver):
    return [one.headers["webhook-id"] for one in receiver.received]


def test_while_one_sends_slowly_others_leave_the_webhook_to_it(receiver, postman, deliver_by):
    slow = Slow(postman)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(deliver_by, slow)
        assert slow.began.wait(PATIENCE_SECONDS)
        assert deliver_by(Dispatcher(postman)) == 0
        slow.go_on.set()
        assert first.result(PATIENCE_SECONDS) == COUNT
    assert len(ids(receiver)) == len(set(ids(receiver))) == COUNT
    assert deliver_by(Dispatcher(postman)) == 0


def test_one_that_slept_past_its_claim_spoils_nothing(database, receiver, postman, deliver_by):
    """Whoever took over has sent all; its own event comes twice, under one id."""
    sleeper = Slow(postman, "it never answered")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(deliver_by, sleeper)
        assert sleeper.began.wait(PATIENCE_SECONDS)
        claim_no_more(database)
        assert deliver_by(Dispatcher(postman)) == COUNT
        sleeper.go_on.set()
        assert first.result(PATIENCE_SECONDS) == 0
    assert ids(receiver)[-1] == ids(receiver)[0]
    assert len(set(ids(receiver))) == COUNT
    hook = webhook(database)
    assert (hook.attempts, hook.last_outcome) == (0, "200")
