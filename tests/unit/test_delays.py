"""The delay of labels against truth in simulation, and what its correction takes away."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.delays import (
    DelayCounts,
    count_delays,
    share_labelled,
    shares_by_class,
)
from mlreg.controller.domain.maturity import Ages, correct, look_ages, maturity_of
from mlreg.controller.domain.metrics import Rows, measure

HOUR = 3_600.0
DAY = 24 * HOUR


def simulated(rng, rows, *, means, never=0.0, watched=(0.0, 30 * DAY), positives=0.3):
    """Labels of two classes with exponential delays, seen as far as each row was watched."""
    classes = (rng.random(rows) < positives).astype(np.intp)
    delays = rng.exponential(np.asarray(means)[classes])
    delays[rng.random(rows) < never] = np.inf
    seen = rng.uniform(*watched, rows)
    return np.where(delays <= seen, delays, np.nan), seen, classes


def test_the_share_labelled_is_told_in_spite_of_rows_that_still_wait():
    """Half of the rows are young: what is labelled so far would be told far too low."""
    rng = np.random.default_rng(0)
    delays, watched, classes = simulated(rng, 40_000, means=(2 * DAY, 2 * DAY), never=0.2)
    arrival = share_labelled(count_delays(delays, watched, classes, 2))
    ages = np.array([0.5, 1, 2, 4, 8, 14]) * DAY
    truth = 0.8 * (1 - np.exp(-ages / (2 * DAY)))
    assert arrival.share(ages) == pytest.approx(truth, abs=0.015)
    naive = np.isfinite(delays).mean()
    assert naive < 0.76  # of 0.8


def test_without_censoring_it_is_the_share_counted():
    rng = np.random.default_rng(1)
    delays = rng.exponential(DAY, 5_000)
    delays[delays > 20 * DAY] = np.nan
    classes = np.zeros(5_000, dtype=np.intp)
    arrival = share_labelled(count_delays(delays, np.full(5_000, 20 * DAY), classes, 1))
    for age in (HOUR, 6 * HOUR, DAY, 3 * DAY):
        assert arrival.share(np.array([age]))[0] == pytest.approx((delays <= age).mean(), abs=0.02)


def test_the_delay_of_each_class_is_told_from_rows_that_were_watched_for_a_while_only():
    """Naively, slow labels of young rows are not seen, and the delay looks short."""
    rng = np.random.default_rng(2)
    delays, watched, classes = simulated(
        rng, 80_000, means=(3 * DAY, 0.2 * DAY), watched=(0.0, 10 * DAY)
    )
    arrivals = shares_by_class(count_delays(delays, watched, classes, 2))
    ages = np.array([0.25, 0.5, 1, 2, 4, 7]) * DAY
    for arrival, mean in zip(arrivals, (3 * DAY, 0.2 * DAY), strict=True):
        truth = (1 - np.exp(-ages / mean)) / (1 - np.exp(-10 * DAY / mean))
        assert arrival.share(ages) == pytest.approx(truth, abs=0.03)
    slow = delays[(classes == 0) & np.isfinite(delays)]
    naive = (slow <= 2 * DAY).mean()
    assert naive > 0.04 + (1 - np.exp(-2 / 3)) / (1 - np.exp(-10 / 3))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 200))
def test_counts_of_parts_add_up_and_survive_json(seed, cut):
    rng = np.random.default_rng(seed)
    delays, watched, classes = simulated(rng, 200, means=(DAY, HOUR))
    whole = count_delays(delays, watched, classes, 2)
    first = count_delays(delays[:cut], watched[:cut], classes[:cut], 2)
    second = count_delays(delays[cut:], watched[cut:], classes[cut:], 2)
    merged = DelayCounts.from_json(json.loads(json.dumps((first + second).to_json())))
    for name in ("labelled", "seen", "awaited"):
        assert (getattr(merged, name) == getattr(whole, name)).all()


def test_an_arrival_rises_from_zero():
    rng = np.random.default_rng(3)
    counts = count_delays(*simulated(rng, 3_000, means=(DAY, HOUR)), 2)
    ages = np.geomspace(1, 900 * DAY, 300)
    for arrival in (share_labelled(counts), *shares_by_class(counts)):
        shares = arrival.share(ages)
        assert (np.diff(shares) >= -1e-12).all()
        assert arrival.share(np.array([0.0]))[0] == 0.0
        assert shares[-1] <= 1.0 + 1e-12


def test_few_labels_tell_no_delay():
    few = count_delays(np.full(49, HOUR), np.full(49, DAY), np.zeros(49, dtype=np.intp), 2)
    assert share_labelled(few) is None
    assert shares_by_class(few) == [None, None]


class TestMaturity:
    def known(self, rng, means):
        """What earlier windows tell of a delay."""
        return count_delays(*simulated(rng, 60_000, means=means, watched=(5 * DAY, 6 * DAY)), 2)

    def test_of_a_window_at_its_age(self):
        arrival = share_labelled(self.known(np.random.default_rng(0), (DAY, DAY)))
        ages = Ages(np.full(10, DAY), np.full(10, 5 * DAY))
        found = maturity_of(6, ages, arrival)
        assert found.expected == pytest.approx(1 - np.exp(-1), abs=0.02)
        assert found.maturity == pytest.approx((1 - np.exp(-1)) / (1 - np.exp(-5)), abs=0.02)

    def test_the_bias_of_negatives_that_come_late_is_taken_away(self):
        """20 young windows: naive readings are far off, corrected ones agree with the mature."""
        rng = np.random.default_rng(4)
        arrivals = shares_by_class(self.known(rng, (2 * DAY, 0.2 * DAY)))
        errors = {name: [] for name in ("naive", "corrected")}
        for _ in range(20):
            row = self.window(rng)
            labels, seen, now, classes, scores = row
            correction = correct(classes, now, arrivals)
            assert correction.because == ""
            truth = self.metrics(labels, scores, np.ones(len(labels)))
            naive = self.metrics(labels[seen], scores[seen], np.ones(seen.sum()))
            used = seen & correction.kept
            corrected = self.metrics(labels[used], scores[used], correction.weights[used])
            errors["naive"].append(naive - truth)
            errors["corrected"].append(corrected - truth)
        naive, corrected = (np.mean(errors[name], axis=0) for name in ("naive", "corrected"))
        spread = np.std(errors["corrected"], axis=0) / np.sqrt(20)
        assert (np.abs(naive) > [0.05, 0.03, 0.1]).all()  # log loss, brier, bias
        assert (np.abs(corrected) < 3 * spread + 0.005).all()

    def window(self, rng, rows=8_000):
        """One day of rows, looked at a day after its close; mature at four days."""
        scores = rng.uniform(0.05, 0.6, rows)
        classes = (rng.random(rows) < scores).astype(np.intp)
        delays = rng.exponential(np.where(classes > 0, 0.2 * DAY, 2 * DAY))
        age = rng.uniform(DAY, 2 * DAY, rows)
        kept = delays <= age + 3 * DAY  # the others never count, in the mature reading either
        ages = Ages(age[kept], age[kept] + 3 * DAY)
        seen = delays[kept] <= ages.now
        return classes[kept].astype(float), seen, ages, classes[kept], scores[kept]

    def metrics(self, labels, scores, weights):
        rows = Rows(labels, weights, np.zeros(len(labels), dtype=np.intp), 1)
        names = ("log_loss", "brier", "bias")
        return np.array([measure(name, rows, scores).values(np.ones((1, 1)))[0] for name in names])

    def test_what_never_comes_so_early_cannot_be_corrected(self):
        rng = np.random.default_rng(5)
        delays = np.where(rng.random(5_000) < 0.5, 3 * DAY, HOUR)
        classes = (delays < DAY).astype(np.intp)
        counts = count_delays(delays, np.full(5_000, 5 * DAY), classes, 2)
        ages = Ages(np.full(100, DAY), np.full(100, 5 * DAY))
        found = correct(np.ones(100, dtype=np.intp), ages, shares_by_class(counts))
        assert found.because == "labels of class 0 come too late to be told at this age"

    def test_a_class_that_was_never_seen_cannot_be_corrected(self):
        counts = count_delays(
            np.full(500, HOUR), np.full(500, DAY), np.zeros(500, dtype=np.intp), 2
        )
        ages = Ages(np.full(9, DAY), np.full(9, DAY))
        found = correct(np.zeros(9, dtype=np.intp), ages, shares_by_class(counts))
        assert found.because.startswith("too few labels of class 1")

    def test_a_mature_window_has_weights_of_one(self):
        arrivals = shares_by_class(self.known(np.random.default_rng(6), (DAY, HOUR)))
        ages = Ages(np.full(9, 5 * DAY), np.full(9, 5 * DAY))
        found = correct(np.zeros(9, dtype=np.intp), ages, arrivals)
        assert found.weights == pytest.approx(np.ones(9))
        assert found.kept.all()


@pytest.mark.parametrize(
    ("delay", "window", "ages"),
    [
        (24, 24, (0,)),
        (48, 24, (0, 24)),
        (168, 24, (0, 48, 96, 144)),
        (48, 1, (0, 12, 24, 36)),
        (0, 24, ()),
    ],
)
def test_windows_are_looked_at_as_they_close_and_each_quarter(delay, window, ages):
    assert look_ages(delay * 3600, window * 3600) == tuple(age * 3600 for age in ages)
