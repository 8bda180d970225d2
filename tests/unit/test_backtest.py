"""The replay of a policy over a scripted world, the frontier's statistics, and the grid."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlreg.controller.domain.backtest import Found, Made, Terms
from mlreg.controller.domain.backtest_answer import answer
from mlreg.controller.domain.backtest_check import NotReplayableError
from mlreg.controller.domain.backtest_freshness import Aged, WeekLosses, freshness
from mlreg.controller.domain.backtest_frontier import (
    DRAWS,
    Interval95,
    Standing,
    blocks_of,
    pareto,
    stand,
    together,
)
from mlreg.controller.domain.backtest_grid import (
    Grid,
    InvalidGridError,
    candidates,
    default_grid,
    read_grid,
)
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.bootstrap import draw_blocks
from mlreg.controller.domain.metrics import MeanLoss
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.registry.domain.errors import RefusedError

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
FIRST = Made("first", 10, 100, 1.0, START - DAY)
BASE = {
    "model": "m",
    "data": {"label_delay": "2d", "evaluate_window": "2d", "train_window": "10d"},
    "triggers": [{"schedule": "0 0 * * 1"}],
    "cooldown": "1s",
}


class World:
    """Trains in no time; PSI stands above 1 on the days that drift."""

    def __init__(self, *, drifts=(), verdict="accepted", fails=False, changes=None):
        self.drifts, self.verdict, self.fails = set(drifts), verdict, fails
        self.monitors = (("psi",), ("labelled", "skill_auc", "concept_loss", "concept_adwin"))
        self.wanted, self.looked, self.changes = [], [], changes

    def train(self, wanted):
        self.wanted.append(wanted)
        if self.fails:
            raise RefusedError("two classes are needed")
        return Made(f"made {len(self.wanted)}", 10, 100, 2.0, wanted.at - 4 * DAY)

    def judge(self, contest):
        del contest
        return Found(self.verdict)

    def closed(self, _champion, window):
        value = 2.0 if (window.start - START) // DAY in self.drifts else 0.0
        return [WindowReading("psi", "x", window.start, window.end, value, 1_000)]

    def matured(self, mature):
        of = ("", mature.window.start, mature.window.end)
        self.looked.append(mature)
        return [
            WindowReading("labelled", *of, 100.0, 100),
            WindowReading("concept_loss", *of, 0.5, 100),
        ]

    def told(self, now, before, since):
        del since
        assert all(one.end <= now.start for one in before)
        tells = (now.start - START) // DAY == self.changes
        evidence = {"began_at": (now.start - DAY).isoformat()} if tells else None
        of = ("", now.start, now.end, float(tells), 100)
        return [WindowReading("concept_adwin", *of, evidence=evidence)]


def policy(**changes):
    return parse_policy(json.dumps({**BASE, **changes}))


def run(world, *, days=28, terms=None, **changes):
    span = (Interval(START, START + days * DAY), DAY)
    return replay(policy(**changes), world, FIRST, span, terms or Terms())


def days_of(course):
    return [(one.at - START) // DAY for one in course.runs]


def test_a_schedule_runs_at_its_days_and_a_model_serves_the_next_window():
    course = run(World())
    assert days_of(course) == [7, 14, 21, 28]
    assert [made.key for made in course.served[5:9]] == ["first", "first", "made 1", "made 1"]


def test_never_is_the_first_model_all_along():
    course = replay(None, World(), FIRST, (Interval(START, START + 5 * DAY), DAY))
    assert {made.key for made in course.served} == {"first"}
    assert course.runs == []


def test_labels_count_once_their_delay_is_over():
    course = run(World(), triggers=[{"labelled_rows": 300}], days=6)
    # The first model knew no labels of the last two days: they count, as after any run. The third
    # window of 100 rows is the first day's, which matures two days later.
    assert days_of(course)[0] == 3


def test_drift_fires_on_the_windows_that_drift_and_on_no_other():
    triggers = [{"drift": "psi", "above": 1.0, "windows": 2}]
    assert days_of(run(World(drifts=[9, 10]), triggers=triggers)) == [11]
    assert days_of(run(World(drifts=[9, 12]), triggers=triggers)) == []


def test_lanes_parents_cooldown_and_budget_are_the_live_ones():
    world = World()
    lanes = {"refit": {}, "full": {"every": "14d"}}
    course = run(world, retrain={"lanes": lanes})
    assert [one.lane for one in course.runs] == ["refit", "full", "refit", "full"]
    assert [one.parent.key if one.parent else None for one in world.wanted] == [
        "first", None, "made 2", None,
    ]  # fmt: skip
    held = run(World(), cooldown="8d").held
    assert held == {"cooldown": 2}
    assert run(World(), triggers=[{"every": "1d"}], budget={"runs_per_day": 0}).held["budget"] == 28


def test_gates_and_failed_trainings_leave_the_champion():
    rejected = run(World(verdict="rejected"), terms=Terms(gates=True))
    assert {made.key for made in rejected.served} == {"first"}
    assert {one.verdict for one in rejected.runs} == {"rejected"}
    failed = run(World(fails=True))
    assert {made.key for made in failed.served} == {"first"}
    assert [one.error for one in failed.runs] == ["two classes are needed"] * 4


def test_a_model_that_goes_live_late_serves_later():
    course = run(World(), terms=Terms(goes_live_after=2 * DAY))
    assert [made.key for made in course.served[7:10]] == ["first", "first", "made 1"]


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"drift": "ks", "above": 1.0}, "'drift' cannot be replayed.*'ks'"),
        ({"webhook": "new"}, r"'webhook' cannot be replayed.*events \(webhook:new\)"),
        ({"drift": "concept_loss", "unusual": True}, "whether 'concept_loss' is unusual"),
    ],
)
def test_what_rows_do_not_tell_is_refused(trigger, said):
    with pytest.raises(NotReplayableError, match=said):
        run(World(), triggers=[trigger])


def test_labels_that_come_late_are_not_read_before_a_selection_waits_for_them():
    world = World()
    data = {**BASE["data"], "label_delay": "1d"}
    run(world, days=4, triggers=[{"labelled_rows": 100}], data=data)
    assert [one.until - one.window.end for one in world.looked] == [DAY] * 4


def test_a_change_is_collected_after_and_its_rows_train():
    world = World(changes=5)
    select = {"since_change": 300, "check_after": "7d"}
    course = run(
        world,
        triggers=[{"drift": "concept_adwin"}],
        data={**BASE["data"], "select": select},
    )
    # Day 5 matures two days later and tells of day 4; three days since then mature on day 9.
    assert course.held == {"collecting": 1}
    assert [(day, one.causes) for day, one in zip(days_of(course), course.runs, strict=True)] == [
        (9, ("collected",)), (16, ("collected",)),
    ]  # fmt: skip
    assert {one.changed_at for one in world.wanted} == {START + 4 * DAY}


def test_after_so_many_stateful_runs_comes_a_full_one():
    course = run(World(), retrain={"lanes": {"refit": {}, "full": {"after": 2}}})
    assert [one.lane for one in course.runs] == ["refit", "refit", "full", "refit"]


def test_nothing_is_retrained_in_an_outage():
    terms = Terms(outages=(Interval(START + 13 * DAY, START + 15 * DAY),))
    course = run(World(), terms=terms)
    assert (days_of(course), course.held) == ([7, 21, 28], {"outage": 1})


def test_intervals_of_many_hold_together():
    """Twenty policies that are all the same: in 5 % of the times, and no more, one seems better."""
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(200):
        losses = rng.normal(size=(40, 20)) + rng.normal(size=(40, 1))
        counts = draw_blocks(40, 300, rng)
        drawn = (counts @ losses) / counts.sum(axis=1, keepdims=True)
        estimates = losses.mean(axis=0)
        gains = together(estimates - estimates[0], drawn - drawn[:, [0]], 40)
        false += any(one.is_above_nothing or one.high < 0 for one in gains[1:])
    assert 0.01 <= false / 200 <= 0.09


def test_weeks_are_the_blocks_for_what_lasts_a_week():
    """Intervals by days miss the truth in a third of the cases, by weeks hardly ever."""
    rng = np.random.default_rng(0)
    missed = {1: 0, 7: 0}
    for _ in range(100):
        days = np.repeat(rng.normal(size=40), 7) + rng.normal(size=280)
        for length in missed:
            blocks = days.reshape(-1, length).mean(axis=1)
            counts = draw_blocks(len(blocks), 200, rng)
            drawn = (counts @ blocks / len(blocks))[:, None]
            (found,) = together(np.array([blocks.mean()]), drawn, len(blocks))
            missed[length] += not found.low < 0 < found.high
    assert missed[7] <= 10 < missed[1]


def test_standings_gain_over_never_whatever_the_metric():
    rng = np.random.default_rng(1)
    losses = rng.normal(0.5, 0.02, 30)
    weights = np.ones(30)
    measured = {
        "never": MeanLoss(losses + 0.1, weights),
        "weekly": MeanLoss(losses, weights),
        "same": MeanLoss(losses, weights),
    }
    found = stand("log_loss", measured, "never", draw_blocks(30, DRAWS, rng))
    assert found["weekly"].gain.estimate == pytest.approx(0.1)
    assert found["weekly"].gain.is_above_nothing
    assert found["never"].behind.is_above_nothing
    assert str(found["never"].gain) == str(Interval95(0.0, 0.0, 0.0)), "no -0.0000"
    assert found["same"].behind == Interval95(0.0, 0.0, 0.0)
    lesser = stand("accuracy", measured, "never", draw_blocks(30, DRAWS, rng))
    assert lesser["weekly"].gain.estimate == pytest.approx(-0.1)


def test_pareto_keeps_what_nothing_beats():
    points = {"never": (0.0, 0.0), "a": (1.0, 5.0), "b": (0.9, 6.0), "c": (1.0, 5.0)}
    assert pareto(points) == {"never", "a", "c"}


def test_blocks_are_weeks_where_there_are_twelve():
    hours = np.arange("2024-01-01", "2024-06-01", dtype="datetime64[h]")
    assert blocks_of(hours).days == 7
    assert blocks_of(hours[: 24 * 30]).days == 1
    assert not blocks_of(hours[: 24 * 3]).is_enough


def test_age_is_measured_against_the_fresh_on_the_same_rows():
    weeks = [
        WeekLosses(100.0, {0: 0.3 + 0.1 * np.sin(n), **{
            age: 0.3 + 0.1 * np.sin(n) + 0.01 * age + 0.001 * np.cos(n * age)
            for age in (1, 2, 4, 8) if age <= n
        }})
        for n in range(30)
    ]  # fmt: skip
    found = {one.weeks: one for one in freshness(weeks, np.random.default_rng(0))}
    assert [found[age].compared for age in (1, 2, 4, 8)] == [29, 28, 26, 22]
    for age, one in found.items():
        assert one.lost.low < 0.01 * age < one.lost.high
        assert one.lost.high - one.lost.low < 0.005


def standing(value, gain, behind):
    return Standing(Interval95(value, value, value), Interval95(*gain), Interval95(*behind))


NEVER = standing(0.5, (0.0, 0.0, 0.0), (0.01, -0.01, 0.03))
BEST = standing(0.49, (0.01, -0.01, 0.03), (0.0, 0.0, 0.0))


def test_the_answer_says_when_it_makes_no_difference():
    (said,) = answer("log_loss", {"never": NEVER, "weekly": BEST}, {"never": 0, "weekly": 9}, [])
    assert said.startswith("Retraining makes no measurable difference: log loss 0.5000 without it")


def test_the_answer_names_the_cheapest_of_those_that_are_as_good():
    worse = standing(0.5, (0.0, 0.0, 0.0), (0.05, 0.01, 0.09))
    cheap = standing(0.46, (0.04, 0.01, 0.07), (0.01, -0.01, 0.02))
    best = standing(0.45, (0.05, 0.01, 0.09), (0.0, 0.0, 0.0))
    costs = {"never": 0.0, "monthly": 5.0, "daily": 50.0}
    aged = [
        Aged(1, 0.4, Interval95(0.01, -0.01, 0.03), 9),
        Aged(4, 0.4, Interval95(0.05, 0.02, 0.08), 9),
    ]
    said = answer("log_loss", {"never": worse, "monthly": cheap, "daily": best}, costs, aged)
    first, more, age = said
    assert first.endswith("without retraining, a gain of +0.0400 (+0.0100 to +0.0700).")
    assert first.startswith("Retrain by 'monthly': log loss 0.4600 instead of 0.5000")
    assert more.endswith("'daily' trains 10.0 times as long for +0.0100.")
    assert age == "A model that is 4 weeks old loses +0.0500 (+0.0200 to +0.0800) per row."


def test_nothing_is_advised_that_another_beats_for_less():
    """A noisy policy cannot be told from the best; a steady one, cheaper and better, can be."""
    worse = standing(0.5, (0.0, 0.0, 0.0), (0.05, 0.01, 0.09))
    steady = standing(0.451, (0.049, 0.02, 0.07), (0.001, 0.0005, 0.0015))
    noisy = standing(0.46, (0.04, 0.01, 0.07), (0.01, -0.01, 0.03))
    best = standing(0.45, (0.05, 0.01, 0.09), (0.0, 0.0, 0.0))
    found = {"never": worse, "steady": steady, "noisy": noisy, "best": best}
    costs = {"never": 0.0, "steady": 5.0, "noisy": 9.0, "best": 13.0}
    assert answer("log_loss", found, costs, [])[0].startswith("Retrain by 'best'")


def test_a_sure_gain_is_advised_before_one_that_may_be_chance():
    """A noisy policy is cheaper, and cannot be told from the best; nor from never."""
    worse = standing(0.5, (0.0, 0.0, 0.0), (0.05, 0.01, 0.09))
    noisy = standing(0.46, (0.04, -0.01, 0.09), (0.01, -0.01, 0.03))
    best = standing(0.45, (0.05, 0.01, 0.09), (0.0, 0.0, 0.0))
    costs = {"never": 0.0, "noisy": 5.0, "best": 13.0}
    (said,) = answer("log_loss", {"never": worse, "noisy": noisy, "best": best}, costs, [])
    assert said.startswith("Retrain by 'best'")


def test_a_grid_is_every_combination_and_two_anchors():
    grid = read_grid(
        "triggers: {a: [{every: 7d}], b: [{every: 1d}]}\nlanes: {f: {full: {}}, r: {refit: {}}}"
    )
    found = candidates(BASE, grid, parse_policy)
    assert [one.name for one in found] == [
        "never", "every window", "a / f", "a / r", "b / f", "b / r",
    ]  # fmt: skip
    assert found[3].policy.retrain.lanes.refit is not None
    assert found[3].policy.data.label_delay == 2 * DAY
    usual = default_grid("binary", {"full"})
    assert set(usual.lanes) == {"full"}
    assert len(candidates(BASE, usual, parse_policy)) == 2 + len(usual.triggers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trigers: {}", "line 1: trigers: unknown key"),
        (
            "triggers: {a: [{every: 7d}]}\nselections: {s: {train: 7d}}",
            "selections.s: 'train' cannot",
        ),
        ("triggers: {a: [{every: soon}]}", "a: triggers"),
        (
            "triggers: {a: [{every: 7d}]}\nselections: {s: {window: 7d}}",
            "selections.s: 'window' cannot be varied",
        ),
        ("triggers: {never: [{every: 7d}]}", "never: another policy has this name"),
        (
            (
                "triggers: {a: [{every: 7d}], a / b: [{every: 8d}]}\n"
                "lanes: {c: {full: {}}, b / c: {full: {}}}"
            ),
            "a / b / c: another policy has this name",
        ),
    ],
)
def test_a_grid_that_cannot_be_names_the_policy(text, said):
    with pytest.raises(InvalidGridError, match=said):
        candidates(BASE, read_grid(text), parse_policy)


def test_a_grid_has_bounds():
    many = {str(number): [{"every": "7d"}] for number in range(501)}
    with pytest.raises(ValueError, match="501 policies; 500 is the most"):
        Grid(triggers=many)
