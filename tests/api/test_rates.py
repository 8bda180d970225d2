"""Who sends too much waits, and nobody else; a rollback never does; our client waits by itself."""

from __future__ import annotations

import time

import pytest

from mlreg.client.errors import NotAllowedError, UnreachableError
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.services.rates import Rate
from mlreg.registry.store.clock import SystemClock
from tests.makers import make_models
from tests.servers.api import RunningApi
from tests.servers.whole_api import Knocker

BURST = 20
PLACE = "/api/v1/models/flights/deployments/production"


@pytest.fixture
def slow(database, store):
    """An API that takes twenty requests of a sender at once, and then one in two seconds."""
    make_models(database)
    running = RunningApi(ApiParts(database, store, SystemClock(), rate=Rate(0.5, BURST)))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def knock(slow):
    """Send as a bearer: `knock(token)(method, path)`."""
    made = []

    def of(token):
        made.append(Knocker(slow.url, token))
        return made[-1]

    yield of
    for knocker in made:
        knocker.close()


def spent(knocker, path="/api/v1/models"):
    """Send until told to wait; return that answer."""
    for _ in range(BURST + 5):
        answer = knocker("GET", path)
        if answer.status == 429:
            return answer
    pytest.fail("nobody was told to wait")


def test_one_token_waits_and_the_others_do_not(slow, knock):
    with slow.client() as client:
        other = client.tokens.create("other").token
    refused = spent(knock(slow.token))
    assert refused.problem["code"] == "too_many_requests"
    assert refused.problem["kind"] == "unavailable"
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert knock(other)("GET", "/api/v1/models").status == 200


def test_what_on_call_needs_never_waits(slow, knock):
    knocker = knock(slow.token)
    spent(knocker)
    for method, path, body in (
        ("GET", PLACE, None),
        ("POST", f"{PLACE}/rollback", {"reason": "it burns"}),
        ("POST", f"{PLACE}/freeze", {"reason": "it burns"}),
        ("POST", f"{PLACE}/acknowledgements", {"client": "scorer", "revision": 1}),
        ("GET", "/healthz", None),
    ):
        for _ in range(BURST + 5):
            answer = knocker(method, path, body, {"If-Match": "*"})
            assert answer.status != 429, (method, path)


def test_a_bad_token_costs_its_address_and_no_good_one(slow, knock):
    good = knock(slow.token)
    assert good("GET", "/api/v1/models").status == 200
    refused = spent(knock(None))
    assert refused.problem["code"] == "too_many_requests"
    assert spent(knock(None), "/login").status == 429
    assert good("GET", "/api/v1/models").status == 200


def test_our_client_waits_as_long_as_it_is_told(slow, knock):
    began = time.monotonic()
    spent(knock(slow.token))
    with slow.client() as client:
        assert client.models.get("flights").name == "flights"
    assert time.monotonic() - began >= 1


def test_our_client_waits_within_bounds(slow, knock, monkeypatch):
    monkeypatch.setattr("mlreg.client.transport.WAIT_WITHIN_SECONDS", 0.5)
    spent(knock(slow.token))
    began = time.monotonic()
    with slow.client() as client, pytest.raises(UnreachableError) as caught:
        client.models.get("flights")
    assert caught.value.code == "too_many_requests"
    assert time.monotonic() - began < 5


def test_our_client_does_not_wait_with_a_token_that_is_wrong(slow):
    began = time.monotonic()
    with slow.client("mlr_person_x_y_00000000") as client:
        for _ in range(BURST - 2):
            with pytest.raises((NotAllowedError, UnreachableError)) as caught:
                client.models.list()
    assert caught.value.code == "too_many_attempts"
    assert time.monotonic() - began < 5
