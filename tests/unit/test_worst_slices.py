"""Worst slices: the error against a regression's sandwich; false alarms and power over seeds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain import worst_slices as module
from mlreg.controller.domain.bins import number_bins
from mlreg.controller.domain.contrast import Sample, Tally, contrast
from mlreg.controller.domain.levels import category_levels, levels_of
from mlreg.controller.domain.worst_slices import Searched, worst_slices

SEEDS = st.integers(0, 2**32 - 1)
ROWS, BLOCKS, LEAST = 3_000, 24, 60
SHARES = np.array([0.3, 0.2, 0.1, *[0.05] * 8])
SHARES = SHARES / SHARES.sum()


def drawn(rng, rows=ROWS, features=6):
    """Return features, half of them categories, with their raw values."""
    raw, levels = [], []
    for number in range(features):
        if number % 2:
            raw.append(rng.choice(len(SHARES), rows, p=SHARES))
            texts = [str(code) for code in range(len(SHARES))]
            levels.append(category_levels(f"c{number}", raw[-1], texts, LEAST))
        else:
            raw.append(rng.normal(size=rows))
            bins = number_bins(f"x{number}", raw[-1], None)
            levels.append(levels_of(bins, raw[-1], LEAST))
    return raw, levels


def blocks_of(rng, rows=ROWS, count=BLOCKS):
    return np.sort(rng.integers(0, count, rows))


def searched(levels, values, blocks, before=None, blocks_before=None):
    after = None if before is None else Sample(before, blocks_before, BLOCKS)
    return Searched(levels, Sample(values, blocks, BLOCKS), after, LEAST)


def log_losses(rng, bad, effect, weather):
    """Losses of a calibrated model whose bad rows are, by `effect`, the other way round."""
    chance = np.clip(rng.beta(2, 2, len(bad)), 0.01, 0.99)
    truth = 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) + weather)))
    truth = np.where(bad, (1 - effect) * truth + effect * (1 - truth), truth)
    return -np.log(np.where(rng.random(len(bad)) < truth, chance, 1 - chance))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, rows=st.integers(50, 300), share=st.floats(0.1, 0.9))
def test_the_error_is_the_cluster_robust_one_of_a_regression(seed, rows, share):
    rng = np.random.default_rng(seed)
    inside, blocks = rng.random(rows) < share, rng.integers(0, 8, rows)
    if min(inside.sum(), (~inside).sum()) < 2:
        return
    values = rng.normal(size=rows) + 3.0 * rng.normal(size=8)[blocks] * inside
    sample = Sample(values, blocks, 8)
    found = contrast(Tally.of(sample, inside.astype(np.intp), 2)[np.array([1])], sample)
    design = np.column_stack([np.ones(rows), inside])
    bread = np.linalg.inv(design.T @ design)
    slope = bread @ design.T @ values
    residuals = values - design @ slope
    pulls = [design[blocks == b].T @ residuals[blocks == b] for b in range(8)]
    sandwich = bread @ sum(np.outer(one, one) for one in pulls) @ bread
    counts = np.bincount(blocks[inside], minlength=8)
    kish = counts.sum() ** 2 / (counts**2).sum()
    independent = values.var() * (1 / inside.sum() + 1 / (~inside).sum())
    assert found.excess[0] == pytest.approx(slope[1])
    assert found.blocks[0] == pytest.approx(kish)
    if kish > 1.01:
        expected = max(sandwich[1, 1] * kish / (kish - 1), independent)
        assert found.error[0] == pytest.approx(np.sqrt(expected), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, rows=st.integers(200, 800))
def test_every_slice_is_measured_as_if_it_were_alone(seed, rows):
    rng = np.random.default_rng(seed)
    _, levels = drawn(rng, rows, features=3)
    search = searched(levels, rng.exponential(size=rows), blocks_of(rng, rows))
    for part in (module._single(search, 1), module._pair(search, 0, 1)):
        large = np.flatnonzero(part.measured.is_large)
        for place in rng.permutation(large)[:4]:
            alone = search.measure_one(search.mask(part.places[place]))
            for name in ("rows", "mean", "rest", "error", "blocks"):
                found = getattr(part.measured.now, name)[place]
                assert found == pytest.approx(getattr(alone.now, name)[0], rel=1e-9)


@pytest.mark.parametrize("noise", ["losses", "rare positives", "heavy tails", "each hour its own"])
def test_noise_has_no_bad_slices(noise):
    """5 % of windows may have one; of 60, more than 8 have with a chance of 0.3 %."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 7])
        raw, levels = drawn(rng)
        blocks = blocks_of(rng)
        weather = 0.8 * rng.normal(size=BLOCKS)[blocks]
        if noise == "losses":
            values = log_losses(rng, np.zeros(ROWS, bool), 0.0, weather)
        elif noise == "rare positives":
            chance = np.clip(rng.beta(0.3, 10, ROWS), 0.001, 0.99)
            values = -np.log(np.where(rng.random(ROWS) < chance, chance, 1 - chance))
        elif noise == "heavy tails":
            values = np.abs(rng.standard_t(3, ROWS) * np.exp(0.4 * weather))
        else:  # each category has a good or a bad hour now and then, none is bad all day
            values = np.abs(rng.normal(size=ROWS))
            for number in (1, 3, 5):
                values += rng.normal(size=(len(SHARES), BLOCKS))[raw[number], blocks]
        alarms += bool(worst_slices(searched(levels, values, blocks)).slices)
    assert alarms <= 8


def test_without_the_blocks_hours_would_be_taken_for_slices(monkeypatch):
    """The mutant that takes rows for independent: it sees a bad slice in almost every window."""
    monkeypatch.setattr(module, "_contrast", row_wise)
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 7])
        raw, levels = drawn(rng)
        blocks = blocks_of(rng)
        values = np.abs(rng.normal(size=ROWS))
        for number in (1, 3, 5):
            values += rng.normal(size=(len(SHARES), BLOCKS))[raw[number], blocks]
        alarms += bool(worst_slices(searched(levels, values, blocks)).slices)
    assert alarms >= 15


def row_wise(sample, cells, which, among):
    """As `_contrast`, with blocks that each take rows of every hour, and so are all alike."""
    if among is not None:
        sample, cells = sample.where(among), cells[among]
    spread = Sample(sample.values, np.arange(len(sample)) % 200, 200)
    return contrast(Tally.of(spread, cells, which[0])[which[1]], spread)


@pytest.mark.parametrize("pair", [False, True], ids=["a level", "a pair"])
def test_a_planted_slice_is_found_and_nothing_else(pair):
    """Of 40 windows at least 36 name it first, and at most 4 name anything besides."""
    first, besides = 0, 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 8])
        raw, levels = drawn(rng)
        blocks = blocks_of(rng)
        bad = raw[1] == 1
        wanted = {("c1", "= 1")}
        if pair:
            bad &= raw[3] == 0
            wanted |= {("c3", "= 0")}
        weather = 0.5 * rng.normal(size=BLOCKS)[blocks]
        values = log_losses(rng, bad, 0.9 if pair else 0.45, weather)
        found = worst_slices(searched(levels, values, blocks)).slices
        first += bool(found) and set(found[0].conditions) == wanted
        besides += len(found) > 1
    assert first >= 36
    assert besides <= 4


def test_the_bound_is_below_the_truth_of_what_is_named():
    """The family-wise bound of a planted excess of 0.8, over 60 windows."""
    beyond = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        raw, levels = drawn(rng)
        values = rng.exponential(size=ROWS) + 0.8 * (raw[1] == 0)
        found = worst_slices(searched(levels, values, blocks_of(rng)))
        beyond += any(one.low > 0.8 for one in found.slices)
        assert 100 < found.looked_at < 400
        assert found.slices[0].excess == pytest.approx(0.8, abs=0.15)
        assert found.slices[0].lift == pytest.approx(values.mean() - found.slices[0].rest)
    assert beyond <= 3


def test_two_slices_that_are_both_bad_are_both_named():
    rng = np.random.default_rng(3)
    raw, levels = drawn(rng)
    values = rng.exponential(size=ROWS) + 1.5 * (raw[1] == 0) + 1.5 * (raw[2] > 1.5)
    found = worst_slices(searched(levels, values, blocks_of(rng))).slices
    named = Counter(name for one in found for name, _ in one.conditions)
    assert {"c1", "x2"} <= set(named)
    masks = [one.mask for one in found]
    for place, mask in enumerate(masks[1:], 1):
        before = np.any(masks[:place], axis=0)
        assert (mask & ~before).sum() >= LEAST


@pytest.mark.parametrize("direction", [1, -1])
def test_of_scores_a_slice_that_moved_is_found_in_either_direction(direction):
    hits, alarms = 0, 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 10])
        raw, levels = drawn(rng, 2 * ROWS)
        values = np.clip(rng.beta(2, 3, 2 * ROWS), 0, 1)
        blocks, earlier = blocks_of(rng), blocks_of(rng)
        calm = searched(levels, values[:ROWS], blocks, values[ROWS:], earlier)
        alarms += bool(worst_slices(calm).slices)
        moved = values[:ROWS] + 0.2 * direction * (raw[1][:ROWS] == 1)
        found = worst_slices(searched(levels, moved, blocks, values[ROWS:], earlier)).slices
        hits += bool(found) and found[0].conditions == (("c1", "= 1"),)
        if found:
            assert np.sign(found[0].low) == np.sign(found[0].excess) == direction
            assert found[0].before == pytest.approx(found[0].mean - 0.2 * direction, abs=0.1)
    assert hits >= 27
    assert alarms <= 4


def test_a_bad_hour_is_no_bad_slice():
    rng = np.random.default_rng(5)
    blocks = blocks_of(rng)
    values = rng.exponential(size=ROWS) + 3.0 * (blocks == 4)
    hours = category_levels("hour", blocks, [str(hour) for hour in range(BLOCKS)], LEAST)
    found = worst_slices(searched([hours], values, blocks))
    assert (found.slices, found.looked_at, found.confined) == ((), 0, BLOCKS)


def test_nothing_to_look_at():
    rng = np.random.default_rng(6)
    blocks = blocks_of(rng)
    assert worst_slices(searched([], np.ones(ROWS), blocks)).looked_at == 0
    _, levels = drawn(rng)
    constant = worst_slices(searched(levels, np.ones(ROWS), blocks))
    assert (constant.slices, constant.looked_at) == ((), 0)


def test_pairs_of_weak_features_are_left_out_and_counted(monkeypatch):
    rng = np.random.default_rng(11)
    raw, levels = drawn(rng)
    values = rng.exponential(size=ROWS) + 1.0 * (raw[1] == 0)
    everything = worst_slices(searched(levels, values, blocks_of(rng)))
    monkeypatch.setattr(module, "MAX_PAIRED", 2)
    some = worst_slices(searched(levels, values, blocks_of(rng)))
    assert some.slices[0].conditions == everything.slices[0].conditions
    assert some.looked_at >= everything.looked_at
