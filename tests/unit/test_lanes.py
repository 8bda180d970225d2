"""Triggers decide when, lanes decide how."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.controller.domain.lanes import (
    LANES,
    NOT_TO_CONTINUE,
    Lanes,
    LaneSituation,
    choose_lane,
    explain_lane,
)
from mlreg.controller.trainers.errors import NoTreeGrownError, ParentMismatchError, TreeBudgetError

FORM = {
    "refit": {"every": "1d"},
    "continue": {"every": "7d", "rounds": 20, "max_trees": 400},
    "full": {"every": "28d"},
}


def situation(*, trees=100, parent=True, changed=None, stateful=0, **ages):
    days = {lane: timedelta(days=age) for lane, age in ages.items()}
    return LaneSituation(days, parent, trees, changed, stateful)


def lanes(**changes):
    return Lanes.model_validate({**FORM, **changes})


@pytest.mark.parametrize(
    ("seen", "lane"),
    [
        ({"full": 3, "continue": 3, "refit": 0.5}, "refit"),
        ({"full": 3, "refit": 2}, "refit"),
        ({"full": 8, "refit": 1}, "continue"),
        ({"full": 8, "continue": 6, "refit": 6}, "refit"),
        ({"full": 28, "continue": 1, "refit": 1}, "full"),
        ({"continue": 1, "refit": 1}, "full"),
        ({}, "full"),
    ],
)
def test_the_fullest_overdue_lane_wins_else_refit(seen, lane):
    assert choose_lane(lanes(), situation(**seen)) == lane


def test_a_full_tree_budget_turns_continue_into_full():
    seen = {"full": 8, "refit": 1}
    assert choose_lane(lanes(), situation(trees=380, **seen)) == "continue"
    assert choose_lane(lanes(), situation(trees=381, **seen)) == "full"


def test_a_round_of_several_classes_adds_a_tree_for_each():
    ages = {"full": timedelta(days=8), "refit": timedelta(days=1)}
    rules = lanes(**{"continue": {"every": "7d", "rounds": 5, "max_trees": 400}})
    for trees, per_round, lane in ((350, 10, "continue"), (351, 10, "full"), (395, 1, "continue")):
        choice = explain_lane(rules, LaneSituation(ages, True, trees, trees_per_round=per_round))
        assert choice.lane == lane
    assert (
        "351 trees and 50 more are beyond 400"
        in explain_lane(rules, LaneSituation(ages, True, 351, trees_per_round=10)).because
    )


def test_without_parent_or_with_another_contract_it_is_full():
    assert choose_lane(lanes(), situation(parent=False, full=1)) == "full"
    assert choose_lane(lanes(), situation(changed="another schema", full=1)) == "full"


def test_only_full():
    assert choose_lane(Lanes(), situation(full=0)) == "full"


@given(
    st.fixed_dictionaries({}, optional={lane: st.integers(0, 60) for lane in LANES}),
    st.integers(0, 600),
)
def test_a_lane_never_follows_too_late(ages, trees):
    """Whatever was chosen, no fuller declared lane is overdue, unless it has turned into full."""
    chosen = choose_lane(lanes(), situation(trees=trees, **ages))
    longest = {"refit": 1, "continue": 7, "full": 28}
    for lane in LANES[LANES.index(chosen) + 1 :]:
        youngest = min((ages[one] for one in LANES[LANES.index(lane) :] if one in ages), default=99)
        assert youngest < longest[lane]


def test_a_fuller_lane_must_be_rarer():
    with pytest.raises(ValidationError, match="fuller"):
        lanes(full={"every": "2d"})


def test_a_reset_comes_after_so_many_stateful_runs_however_soon():
    rules = lanes(full={"every": "28d", "after": 12})
    assert choose_lane(rules, situation(stateful=11, full=3, refit=0.5)) == "refit"
    assert choose_lane(rules, situation(stateful=12, full=3, refit=0.5)) == "full"
    assert choose_lane(lanes(), situation(stateful=99, full=3, refit=0.5)) == "refit"


@pytest.mark.parametrize(
    ("given", "because"),
    [
        ({"parent": False}, "there is no champion"),
        ({"changed": "another objective", "full": 1}, "a model iteration: another objective"),
        ({"stateful": 12, "full": 1}, "12 stateful runs since the last full one"),
        ({"full": 8, "refit": 1}, "ran 8d ago, every 7d"),
        ({"trees": 390, "full": 8, "refit": 1}, "390 trees and 20 more are beyond 400"),
        ({"full": 3, "refit": 0.5}, "no lane is overdue"),
        ({}, "never ran"),
    ],
)
def test_every_choice_says_why(given, because):
    choice = explain_lane(lanes(full={"every": "28d", "after": 12}), situation(**given))
    assert because in choice.because
    assert choice.lane == choose_lane(lanes(full={"every": "28d", "after": 12}), situation(**given))


def test_what_a_trainer_cannot_continue_has_these_codes():
    refusals = (ParentMismatchError, TreeBudgetError, NoTreeGrownError)
    assert {one.code for one in refusals} == NOT_TO_CONTINUE
