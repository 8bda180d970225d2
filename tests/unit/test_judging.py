"""Verdicts: what is accepted, what is held, and how often luck is promoted."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from mlreg.controller.domain.judging import judge
from mlreg.controller.domain.judging_input import (
    Contestant,
    JudgingInput,
    SliceColumn,
    TrainedOnEvaluationError,
)
from mlreg.controller.domain.trial import MetricNotOfTaskError
from mlreg.controller.gates.kinds import InvalidGateError, read_gates

START = np.datetime64("2013-03-01T00:00", "us")
CHAMPION = {"champion": "log_loss", "margin": 0.02}
BASELINE = {"baseline": "prior", "metric": "log_loss"}
SLICES = {"slices": ["carrier"], "metric": "auc", "margin": 0.05, "min_rows": 100}
CARRIERS = SliceColumn(np.empty(0, dtype=int), ("AA", "UA", "ZZ"))


def times(days, per_day):
    seconds = np.arange(days * per_day) * (86_400 // per_day)
    return START + seconds.astype("timedelta64[s]")


class Flights:
    """Labels with a day effect, and models that know the truth up to noise."""

    def __init__(self, seed=0, *, days=14, per_day=200, day_effect=0.3):
        self.rng = np.random.default_rng(seed)
        self.days, size = days, days * per_day
        self.day = np.repeat(np.arange(days), per_day)
        self.times = times(days, per_day)
        self.logit = self.rng.normal(size=size) - 1
        self.logit += self.rng.normal(0, day_effect, days)[self.day]
        self.labels = (self.rng.random(size) < 1 / (1 + np.exp(-self.logit))).astype(float)
        self.carrier = SliceColumn(self.rng.integers(-1, 2, size), ("AA", "UA"))

    def scores(self, noise=0.5):
        return 1 / (1 + np.exp(-(self.logit + self.rng.normal(0, noise, len(self.logit)))))

    def given(self, challenger, champion=None, **more):
        return JudgingInput(
            task="binary",
            times=self.times,
            labels=more.pop("labels", self.labels),
            challenger=Contestant(2, challenger),
            champion=None if champion is None else Contestant(1, champion),
            slices={"carrier": self.carrier},
            **more,
        )


def verdict_of(given, *gates, seed=0, draws=500):
    return judge(given, read_gates(gates), np.random.default_rng(seed), draws=draws)


def test_a_better_challenger_is_accepted_as_superior():
    flights = Flights()
    found = verdict_of(
        flights.given(flights.scores(0.2), flights.scores(1.0)), CHAMPION, BASELINE, SLICES
    )
    assert (found.verdict, found.superior) == ("accepted", True)
    assert [gate.outcome for gate in found.gates] == ["pass"] * 3


def test_an_equal_challenger_is_accepted_but_not_as_superior():
    flights = Flights()
    champion = flights.scores(0.5)
    found = verdict_of(flights.given(champion.copy(), champion), CHAMPION, BASELINE)
    assert (found.verdict, found.superior) == ("accepted", False)


def test_a_worse_challenger_is_rejected():
    flights = Flights()
    found = verdict_of(flights.given(flights.scores(2.0), flights.scores(0.2)), CHAMPION)
    assert (found.verdict, found.superior) == ("rejected", False)
    assert "worse than the champion" in found.reason


def test_shuffled_scores_do_not_beat_the_prior():
    flights = Flights()
    shuffled = flights.rng.permutation(flights.scores())
    found = verdict_of(flights.given(shuffled), BASELINE)
    assert found.verdict == "rejected"


def test_the_prior_of_training_is_easier_to_beat_than_that_of_the_rows():
    flights = Flights()
    scores = flights.scores(0.2)
    known, of_rows = (
        verdict_of(flights.given(scores, prior=prior), BASELINE) for prior in (0.9, None)
    )
    gains = [one.gates[0].evidence["gain"]["estimate"] for one in (known, of_rows)]
    assert gains[0] > gains[1] + 0.5
    assert known.evidence["prior"] == {"value": 0.9, "of": "training"}
    assert of_rows.evidence["prior"]["value"] == pytest.approx(flights.labels.mean())


def test_little_evidence_is_inconclusive():
    flights = Flights(per_day=10)
    found = verdict_of(flights.given(flights.scores(0.6), flights.scores(0.5)), CHAMPION)
    assert found.verdict == "inconclusive"


def test_without_a_champion_the_baseline_decides():
    flights = Flights()
    found = verdict_of(flights.given(flights.scores(0.2)), CHAMPION, BASELINE, SLICES)
    assert (found.verdict, found.superior) == ("accepted", False)


BROKEN = {
    "no rows": (lambda f: f.given(np.empty(0), None, labels=np.empty(0)), "no labelled rows"),
    "no labels": (
        lambda f: f.given(f.scores(), f.scores(), labels=np.full(len(f.labels), np.nan)),
        "no labelled rows",
    ),
    "one class": (
        lambda f: f.given(f.scores(), f.scores(), labels=np.ones(len(f.labels))),
        "one class",
    ),
    "label 2": (lambda f: f.given(f.scores(), labels=f.labels * 2), "neither 0 nor 1"),
    "NaN score": (
        lambda f: f.given(np.where(f.day == 3, np.nan, f.scores()), f.scores()),
        "challen",
    ),
    "all NaN champion": (lambda f: f.given(f.scores(), f.scores() * np.nan), "champion"),
    "infinite": (lambda f: f.given(f.scores() + np.inf, f.scores()), "challenger"),
    "no probability": (lambda f: f.given(f.scores() + 1, f.scores()), "probabilities"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_concluded_is_held(name):
    make, reason = BROKEN[name]
    flights = Flights()
    if name == "no rows":
        flights.times, flights.carrier = flights.times[:0], CARRIERS
    found = verdict_of(make(flights), CHAMPION, BASELINE, SLICES)
    assert (found.verdict, found.superior) == ("inconclusive", False)
    assert reason in found.reason
    json.dumps(found.to_json(), allow_nan=False)


def test_too_few_blocks_and_no_gates_are_held():
    flights = Flights(days=1, per_day=4000)
    good = flights.given(flights.scores(0.1), flights.scores(2.0))
    assert "24 hours only" in verdict_of(good, CHAMPION).reason
    flights = Flights()
    found = verdict_of(flights.given(flights.scores(0.1), flights.scores(2.0)))
    assert (found.verdict, found.reason) == ("inconclusive", "the policy has no gates")


def test_rows_without_a_label_are_left_out_for_all():
    flights = Flights()
    labels = np.where(flights.rng.random(len(flights.labels)) < 0.5, np.nan, flights.labels)
    found = verdict_of(
        flights.given(flights.scores(0.2), flights.scores(1.0), labels=labels), CHAMPION
    )
    assert found.evidence["unlabelled"] == np.isnan(labels).sum()
    assert found.evidence["rows"] == (~np.isnan(labels)).sum()


def test_a_slice_made_worse_is_named_and_rejected():
    flights = Flights(per_day=600)
    challenger, champion = flights.scores(0.2), flights.scores(0.3)
    broken = flights.rng.permutation(challenger)
    challenger = np.where(flights.carrier.codes == 1, broken, challenger)
    found = verdict_of(flights.given(challenger, champion), SLICES)
    assert found.verdict == "rejected"
    assert "carrier=UA" in found.reason
    assert "carrier=AA" not in found.reason


def test_slices_that_are_too_small_are_not_judged():
    flights = Flights()
    given = flights.given(flights.scores(0.2), flights.scores(0.2))
    found = verdict_of(given, {**SLICES, "min_rows": 10_000})
    assert found.verdict == "inconclusive"
    found = verdict_of(given, {**SLICES, "slices": ["tail"]})
    assert "no column 'tail'" in found.reason


def test_a_champion_trained_on_the_rows_is_refused():
    flights = Flights()
    trained = Contestant(1, flights.scores(), datetime(2013, 3, 2, tzinfo=UTC))
    given = JudgingInput(
        "binary", flights.times, flights.labels, Contestant(2, flights.scores()), trained
    )
    with pytest.raises(TrainedOnEvaluationError, match="champion"):
        verdict_of(given, CHAMPION)


def test_a_metric_of_another_task_is_refused():
    flights = Flights()
    with pytest.raises(MetricNotOfTaskError, match="binary model has no rmse"):
        verdict_of(flights.given(flights.scores(), flights.scores()), {"champion": "rmse"})


def test_a_regression_is_judged():
    flights = Flights()
    truth = flights.logit
    given = JudgingInput(
        "regression",
        flights.times,
        truth,
        Contestant(2, truth + flights.rng.normal(0, 0.1, len(truth))),
        Contestant(1, truth + flights.rng.normal(0, 0.5, len(truth))),
    )
    found = verdict_of(given, {"champion": "rmse"}, {"baseline": "prior", "metric": "mae"})
    assert (found.verdict, found.superior) == ("accepted", True)


@pytest.mark.parametrize(
    "form",
    [
        {"champion": "elegance"},
        {"champion": "auc", "magin": 1},
        {},
        {"champion": "auc", "margin": -1},
    ],
)
def test_a_gate_that_is_none_is_named(form):
    with pytest.raises(InvalidGateError):
        read_gates([form])


def test_the_same_seed_gives_the_same_judgement_and_json_has_it_all():
    flights = Flights()
    given = flights.given(flights.scores(), flights.scores(), context={"snapshot": "sha256:1"})
    first, second = (verdict_of(given, CHAMPION, BASELINE, SLICES, seed=3) for _ in range(2))
    assert first.to_json() == second.to_json()
    form = json.loads(json.dumps(first.to_json(), allow_nan=False))
    assert {"verdict", "superior", "reason", "gates", "metrics", "rows", "blocks", "window"} <= set(
        form
    )
    assert set(form["metrics"]) == {"challenger", "champion", "prior"}
    assert form["context"] == {"snapshot": "sha256:1"}


def paired_losses(rng, *, gain, days=14, per_day=60, spread=0.01):
    """Regression rows on which the challenger's absolute error is better by `gain` on average.

    The difference has a day effect as large as its rows' noise, which is what blocks are for.
    """
    size = days * per_day
    day = np.repeat(np.arange(days), per_day)
    base = 1 + rng.random(size)
    difference = rng.normal(0, spread, days)[day] + rng.normal(0, spread, size) + gain
    return JudgingInput(
        "regression",
        times(days, per_day),
        np.zeros(size),
        Contestant(2, base - difference),
        Contestant(1, base),
    )


def accepted_share(gain, trials=400, seed=0):
    gates = read_gates([{"champion": "mae", "margin": 0.01}])
    rng = np.random.default_rng(seed)
    found = [judge(paired_losses(rng, gain=gain), gates, rng, draws=200) for _ in range(trials)]
    return sum(one.verdict == "accepted" for one in found) / trials


def test_a_challenger_exactly_at_the_margin_is_rarely_accepted():
    """Nominal 5 %; 400 trials have an error of 1.1 % themselves."""
    assert accepted_share(gain=-0.01) < 0.085


def test_an_equal_challenger_is_usually_accepted():
    assert accepted_share(gain=0.0, seed=1) > 0.9


def test_an_equal_challenger_is_rarely_superior():
    gates = read_gates([{"champion": "mae", "margin": 0.01}])
    rng = np.random.default_rng(2)
    found = [judge(paired_losses(rng, gain=0.0), gates, rng, draws=200) for _ in range(400)]
    assert sum(one.superior for one in found) / 400 < 0.085


def ratchet(*, anchored, challengers=60, step=0.004, seed=3):
    """A chain of challengers, each worse than the champion by less than the margin of 0.01.

    Returns how much was lost altogether. There is always evidence enough to see a margin.
    """
    gates = read_gates([{"champion": "mae", "margin": 0.01}])
    rng = np.random.default_rng(seed)
    lost = 0.0
    for _ in range(challengers):
        size = 14 * 40
        noise = [rng.normal(0, 0.003, size) for _ in range(3)]
        worse = Contestant(2, 1 + lost + step + noise[0])
        champion = Contestant(1, 1 + lost + noise[1])
        anchor = Contestant(0, 1 + noise[2]) if anchored and lost else None
        given = JudgingInput("regression", times(14, 40), np.zeros(size), worse, champion, anchor)
        if judge(given, gates, rng, draws=200).verdict == "accepted":
            lost += step
    return lost


def test_the_margin_is_spent_once_between_anchors():
    assert ratchet(anchored=False) == pytest.approx(60 * 0.004)
    assert ratchet(anchored=True) < 0.01
