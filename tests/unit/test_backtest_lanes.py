"""How a replay trains: in the lane that the live controller takes, and as its trainer answers."""

import json
from datetime import UTC, datetime, timedelta

from mlreg.controller.domain.backtest import Made, Terms
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.trainers.errors import NoTreeGrownError, TrainingFailedError

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


class Trainer:
    """Adds two trees a round to what it continues; its answer may be that it cannot."""

    monitors = ((), ())

    def __init__(self, refusal=None):
        self.refusal, self.lanes = refusal, []

    def train(self, wanted):
        self.lanes.append(wanted.lane)
        if wanted.lane != "full" and self.refusal is not None:
            raise self.refusal
        assert (wanted.parent is None) == (wanted.lane == "full")
        trees = 40 if wanted.parent is None else wanted.parent.trees + 20
        return Made(f"made {len(self.lanes)}", trees, 100, 1.0, wanted.at)


def lanes(trainer, *, max_trees=400, **terms):
    """Return the lanes of three weekly runs that add ten rounds each."""
    form = {
        "model": "m",
        "triggers": [{"schedule": "0 0 * * 1"}],
        "retrain": {"lanes": {"continue": {"rounds": 10, "max_trees": max_trees}}},
    }
    first, span = Made("first", 40, 100, 1.0, START), Interval(START, START + 22 * DAY)
    course = replay(parse_policy(json.dumps(form)), trainer, first, (span, DAY), Terms(**terms))
    return [(run.lane, run.verdict) for run in course.runs]


def test_several_classes_fill_a_tree_budget_as_fast_as_they_do_live():
    found = lanes(Trainer(), max_trees=75, trees_per_round=2)
    assert [lane for lane, _ in found] == ["continue", "full", "continue"]


def test_what_the_trainer_cannot_continue_is_trained_in_full_as_a_run_is():
    trainer = Trainer(NoTreeGrownError(rows=3))
    assert lanes(trainer) == [("full", "live")] * 3
    assert trainer.lanes == ["continue", "full"] * 3


def test_another_refusal_fails_the_run():
    assert lanes(Trainer(TrainingFailedError(cause="no"))) == [("continue", "failed")] * 3
