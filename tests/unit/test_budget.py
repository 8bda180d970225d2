"""What budgets hold back, what they leave, and when they free."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.budget import (
    DAY,
    Budget,
    Moment,
    Spent,
    Use,
    judge_budget,
    seconds_left,
)

REAL = datetime(2026, 5, 4, 12, tzinfo=UTC)
BUSINESS = datetime(2013, 7, 10, tzinfo=UTC)
NOW = Moment(BUSINESS, REAL)
HOUR = timedelta(hours=1)


def runs(*hours):
    return Use(runs=[Spent(BUSINESS - one * HOUR) for one in hours])


def trained(*pairs, granted=0.0):
    return Use(seconds=[Spent(REAL - h * HOUR, s) for h, s in pairs], granted=granted)


@pytest.mark.parametrize(
    ("budget", "use", "bound", "frees"),
    [
        ({}, runs(1, 2, 3), None, None),
        ({"runs_per_day": 3}, runs(1, 2), None, None),
        ({"runs_per_day": 2}, runs(1, 2, 25), "runs_per_day", BUSINESS + 22 * HOUR),
        ({"runs_per_day": 1}, runs(1, 2), "runs_per_day", BUSINESS + 23 * HOUR),
        ({"runs_per_day": 9, "runs_per_week": 2}, runs(30, 40), "runs_per_week", None),
        ({"runs_per_day": 0}, runs(), "runs_per_day", None),
        ({"train_seconds_per_day": 60}, trained((1, 59)), None, None),
        ({"train_seconds_per_day": 60}, trained((1, 60)), "train_seconds_per_day", None),
        ({"train_seconds_per_week": 60}, trained((1, 30), granted=30), "train_seconds_per_week", 0),
    ],
)
def test_the_bound_that_frees_last_holds(budget, use, bound, frees):
    hold = judge_budget(Budget(**budget), use, NOW)
    assert (hold and hold.bound) == bound
    if isinstance(frees, datetime):
        assert hold.frees_at == frees
    if frees == 0:
        assert hold.frees_at is None
        assert "free again when one of them ends" in str(hold)


def test_a_hold_says_by_which_bound_how_much_is_used_and_when_it_frees():
    hold = judge_budget(Budget(runs_per_day=2), runs(1, 2), NOW, "overall")
    assert str(hold) == (
        "the budget of all policies runs_per_day: 2 of 2 are used;"
        " free again at 2013-07-10 22:00:00 UTC"
    )
    assert not hold.is_real


def test_seconds_are_real_time_and_runs_are_business_time():
    budget = Budget(runs_per_day=1, train_seconds_per_day=10)
    use = Use(runs=[Spent(REAL)], seconds=[Spent(BUSINESS, 100.0)])
    assert judge_budget(budget, use, Moment(REAL + DAY, REAL)) is None


AMOUNTS = st.lists(st.tuples(st.integers(0, 200), st.floats(0.5, 50.0)), max_size=20)


@given(AMOUNTS, st.floats(0, 100), st.floats(0, 400))
def test_what_is_left_never_takes_more_than_the_bound(spent, granted, bound):
    use = trained(*spent, granted=granted)
    budget = Budget(train_seconds_per_week=bound)
    left = seconds_left(budget, use, REAL)
    used = sum(amount for hours, amount in spent if hours < 168)
    assert left == pytest.approx(max(0.0, bound - granted - used))
    assert (judge_budget(budget, use, NOW) is None) == (used + granted + 1.0 <= bound)


@given(AMOUNTS, st.integers(2, 6))
def test_at_the_moment_at_which_it_frees_it_is_free(spent, bound):
    use = Use(runs=[Spent(BUSINESS - hours * HOUR) for hours, _ in spent])
    budget = Budget(runs_per_day=bound)
    hold = judge_budget(budget, use, NOW)
    if hold is not None:
        assert judge_budget(budget, use, Moment(hold.frees_at, REAL)) is None
        just_before = hold.frees_at - timedelta(microseconds=1)
        assert judge_budget(budget, use, Moment(just_before, REAL)) is not None
