"""Since when a policy cannot be judged: a controller counts from its own first look."""

from datetime import UTC, datetime, timedelta

from mlreg.controller.services.unjudged import AFTER, Failing

NOW = datetime(2026, 5, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_only_what_fails_in_each_look_for_five_minutes_lasts():
    failing = Failing()
    for minute in range(5):
        assert failing.look([1, 2], NOW + minute * MINUTE) == []
    assert failing.look([1, 3], NOW + AFTER) == [1]
    assert failing.look([1, 2], NOW + AFTER + MINUTE) == [1]


def test_moments_of_a_clock_that_is_advanced_may_lie_far_apart():
    failing = Failing()
    assert failing.look([1], NOW) == []
    assert failing.look([1], NOW + 12 * AFTER) == [1]


def test_after_another_has_led_it_counts_anew():
    failing = Failing()
    assert failing.look([1], NOW) == []
    failing.forget()
    assert failing.look([1], NOW + AFTER) == []
    assert failing.look([1], NOW + 2 * AFTER) == [1]
