"""What holds a firing back, and how triggers combine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.firing import Circumstances, PastRun, judge_firing
from mlreg.controller.domain.policy import Budget
from mlreg.controller.domain.triggers import Combination, Finding, Held, combine

AT = datetime(2013, 7, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOLDS = Finding(holds=True, because="")


def judge(circumstances, cooldown=6 * HOUR, **budget):
    return judge_firing(AT, circumstances, cooldown=cooldown, budget=Budget(**budget))


def ran(hours, seconds=0.0):
    return PastRun(AT - hours * HOUR, seconds)


NEVER_BEGAN = PastRun(AT - 8 * HOUR, began=False)


@pytest.mark.parametrize(
    ("circumstances", "budget", "outcome"),
    [
        (Circumstances(), {}, "run"),
        (Circumstances(frozen=True, outage=True), {}, "frozen"),
        (Circumstances(archived=True, by_hand=True, quiet=True), {}, "archived"),
        (Circumstances(outage=True, busy=True), {}, "outage"),
        (Circumstances(busy=True, runs=(ran(1),)), {}, "busy"),
        (Circumstances(runs=(ran(5.99),)), {}, "cooldown"),
        (Circumstances(runs=(ran(6),)), {}, "run"),
        (Circumstances(cooldown_until=AT + HOUR), {}, "cooldown"),
        (Circumstances(cooldown_until=AT), {}, "run"),
        (Circumstances(runs=(ran(7), ran(8))), {"runs_per_day": 2}, "budget"),
        (Circumstances(runs=(ran(7), ran(24))), {"runs_per_day": 2}, "run"),
        (Circumstances(runs=(ran(7), NEVER_BEGAN)), {"runs_per_day": 2}, "run"),
        (Circumstances(runs=(replace(NEVER_BEGAN, at=AT - HOUR),)), {}, "cooldown"),
        (Circumstances(), {"runs_per_day": 0}, "budget"),
        (Circumstances(runs=(ran(30, 60.0),)), {"train_seconds_per_week": 60}, "budget"),
        (Circumstances(runs=(ran(30, 59.0),)), {"train_seconds_per_week": 60}, "run"),
        (Circumstances(runs=(ran(169, 600.0),)), {"train_seconds_per_week": 60}, "run"),
    ],
)
def test_the_first_rule_that_says_no_names_the_outcome(circumstances, budget, outcome):
    assert judge(circumstances, **budget) == outcome


def test_combinations():
    new, old = Held("drift", AT, HOLDS), Held("schedule", AT - HOUR)
    assert combine([new], Combination(1, 3))
    assert not combine([new], Combination(2, 3))
    assert combine([new, old], Combination(2, 3))
    assert not combine([old], Combination(1, 3))  # nothing new came to hold
    assert not combine([], Combination(1, 3))
    assert not combine([new, new], Combination(2, 3))


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.integers(1, 4))
def test_more_triggers_never_undo_a_firing(some, more, at_least):
    def fires(names):
        return combine([Held(name, AT, HOLDS) for name in names], Combination(at_least, 4))

    assert fires(some) <= fires(some | more)
