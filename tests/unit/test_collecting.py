"""After a change: rows are collected, trained on, and checked again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.collecting import (
    Collection,
    begin,
    change_of,
    look,
    passed,
    trained,
)
from mlreg.controller.domain.selections.since_change import SinceChange

DAY = timedelta(days=1)
CHANGE = datetime(2013, 6, 1, 7, tzinfo=UTC)
RULE = SinceChange(since_change=1_000, check_after=7 * DAY)


def after(days, rows_a_day):
    """Count rows as they come: so many a day since the moment, up to now."""
    return lambda since: max(0, round((CHANGE + days * DAY - since) / DAY * rows_a_day))


@given(st.integers(1, 400), st.lists(st.integers(0, 3), min_size=1, max_size=90))
def test_a_change_is_trained_on_once_it_has_rows_and_checked_once(rows_a_day, steps):
    """However often and whenever it is looked: at most two runs, and none with too few rows."""
    collection = begin(RULE, None, CHANGE, CHANGE + DAY)
    days, runs = 1, []
    for step in steps:
        days += step
        at = CHANGE + days * DAY
        seen = look(RULE, collection, at, after(days, rows_a_day))
        collection = seen.collection
        assert not (seen.waits and seen.because), "it waits, or it is due"
        if seen.because is not None:
            runs.append(at)
            if collection is None:
                assert at - (CHANGE + DAY) >= RULE.give_up, "given up: the usual rows train"
                break
            assert after(days, rows_a_day)(CHANGE) >= RULE.since_change
            collection = trained(RULE, collection, at)
        elif collection.stage == "collecting":
            assert collection.rows < RULE.since_change
    assert len(runs) <= 2
    if len(runs) == 2:
        assert runs[1] - runs[0] >= 7 * DAY
        assert collection.stage == "settled"


def test_a_newer_change_begins_anew_and_the_same_one_does_not():
    first = begin(RULE, None, CHANGE, CHANGE + DAY)
    assert begin(RULE, first, CHANGE + DAY / 2, CHANGE + 2 * DAY) is first
    assert begin(RULE, first, CHANGE - 9 * DAY, CHANGE + 2 * DAY) is first
    assert begin(RULE, first, None, CHANGE + 2 * DAY) is first
    newer = begin(RULE, first, CHANGE + 5 * DAY, CHANGE + 6 * DAY)
    assert (newer.since, newer.stage, newer.rows) == (CHANGE + 5 * DAY, "collecting", 0)


def test_later_runs_begin_at_a_settled_change_until_the_window_has_passed_it():
    rule = SinceChange(since_change=1_000)
    done = trained(rule, begin(rule, None, CHANGE, CHANGE), CHANGE + 9 * DAY)
    assert done.stage == "settled"
    seen = look(rule, done, CHANGE + 20 * DAY, after(20, 9))
    assert (seen.changed_at, seen.waits, seen.because) == (CHANGE, False, None)
    assert passed(done, CHANGE + 89 * DAY, 90 * DAY) is done
    assert passed(done, CHANGE + 90 * DAY, 90 * DAY) is None


@pytest.mark.parametrize("check_at", [None, CHANGE + DAY])
def test_a_collection_is_remembered_as_it_was(check_at):
    one = Collection(CHANGE, CHANGE + DAY, 1_000, 7, "checking", check_at)
    assert Collection.from_json(one.to_json()) == one


@pytest.mark.parametrize(
    ("evidence", "began"),
    [
        ([], None),
        ([{"monitor": "labelled", "value": 3, "windows": 4}], None),
        ([{"monitor": "psi", "start": "2013-06-04T00:00:00+00:00"}], 4),
        (
            [{"start": "2013-06-04T00:00:00+00:00"}, {"start": "2013-06-03T00:00:00+00:00"}],
            3,
        ),
        ([{"windows": ["2013-06-05T00:00:00+00:00", "2013-06-06T00:00:00+00:00"]}], 5),
        (
            [
                {
                    "start": "2013-06-09T00:00:00+00:00",
                    "evidence": {"began_at": "2013-06-07T00:00:00+00:00"},
                }
            ],
            7,
        ),
    ],
)
def test_the_readings_of_a_firing_say_when_it_began(evidence, began):
    found = change_of(evidence)
    assert found == (None if began is None else datetime(2013, 6, began, tzinfo=UTC))
