"""Buckets of requests: what passes, what waits, what is remembered."""

from __future__ import annotations

import time

import pytest

from mlreg.registry.services import rates
from mlreg.registry.services.rates import Buckets, Rate, TooManyRequestsError, never_waits

PLACE = "/api/v1/models/flights/deployments/production"


class Hands:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def passed(buckets, sender, tries):
    """Return how many of so many requests at once pass."""
    count = 0
    for _ in range(tries):
        try:
            buckets.take(sender)
        except TooManyRequestsError:
            break
        count += 1
    return count


def test_a_burst_passes_and_then_as_much_as_flows_in():
    hands = Hands()
    buckets = Buckets(Rate(10, 20), hands)
    assert passed(buckets, "a", 100) == 20
    assert passed(buckets, "b", 100) == 20  # each has a bucket of its own
    hands.now += 0.5
    assert passed(buckets, "a", 100) == 5
    hands.now += 3_600
    assert passed(buckets, "a", 100) == 20  # a full bucket runs over


def test_who_waits_as_long_as_is_said_passes():
    hands = Hands()
    buckets = Buckets(Rate(0.25, 1), hands)
    buckets.take("a")
    with pytest.raises(TooManyRequestsError) as caught:
        buckets.take("a")
    assert caught.value.retry_after_seconds == 4
    hands.now += caught.value.retry_after_seconds
    buckets.take("a")


def test_nought_is_no_limit():
    assert passed(Buckets(Rate(0, 1)), "a", 100_000) == 100_000


def test_what_is_remembered_is_bounded_and_forgives_only_the_fullest(monkeypatch):
    monkeypatch.setattr(rates, "CAPACITY", 100)
    hands = Hands()
    buckets = Buckets(Rate(1, 10), hands)
    assert passed(buckets, "flood", 100) == 10
    for number in range(10_000):
        buckets.take(f"address {number}")
        assert len(buckets._full_at) <= 100
    assert passed(buckets, "flood", 100) == 0


@pytest.mark.parametrize(
    ("method", "path", "free"),
    [
        ("GET", PLACE, True),
        ("POST", f"{PLACE}/rollback", True),
        ("POST", f"{PLACE}/fallback", True),
        ("POST", f"{PLACE}/freeze", True),
        ("POST", f"{PLACE}/acknowledgements", True),
        ("POST", f"{PLACE}/promote", False),
        ("GET", f"{PLACE}/revisions", False),
        ("GET", f"{PLACE}/rollback", False),
        ("POST", "/api/v1/search/rollback", False),
        ("GET", "/api/v1/models", False),
        ("GET", "/", False),
    ],
)
def test_what_on_call_needs_never_waits(method, path, free):
    assert never_waits(method, path) == free


def test_a_request_pays_microseconds():
    buckets = Buckets(Rate())
    best = min(_seconds_of(buckets) for _ in range(5))
    assert best < 10e-6  # about 0.6 µs; a busy machine takes its time


def _seconds_of(buckets):
    began = time.thread_time()
    for _ in range(1_000):
        if not never_waits("GET", PLACE):
            buckets.take("a")
    return (time.thread_time() - began) / 1_000
