"""Blame: a slice that is wrong, one that is hard, and the difference between the two."""

import numpy as np

from mlreg.controller.domain.blame import blame_losses, blame_moves
from mlreg.controller.domain.contrast import Sample
from mlreg.controller.domain.levels import category_levels
from mlreg.controller.domain.mistakes import mistakes_of

ROWS, BLOCKS, LEAST = 4_000, 24, 80


def window(seed, *, wrong=0.0, hard=True):
    """A calibrated model; it is unsure where `a` is 1, and wrong where `b` is 2."""
    rng = np.random.default_rng([seed, 31])
    codes = {name: rng.integers(0, 5, ROWS) for name in "abcd"}
    chance = np.where(rng.random(ROWS) < 0.5, rng.beta(2, 12, ROWS), rng.beta(12, 2, ROWS))
    if hard:
        chance = np.where(codes["a"] == 1, rng.uniform(0.4, 0.6, ROWS), chance)
    chance = np.clip(chance, 0.02, 0.98)
    truth = np.where(codes["b"] == 2, (1 - wrong) * chance + wrong * (1 - chance), chance)
    labels = (rng.random(ROWS) < truth).astype(float)
    levels = [category_levels(name, codes[name], list("01234"), LEAST) for name in "abcd"]
    mistakes = mistakes_of("binary", labels, chance, 0.5)
    losses = Sample(mistakes.losses, np.sort(rng.integers(0, BLOCKS, ROWS)), BLOCKS)
    return levels, losses, mistakes


def test_a_wrong_slice_and_a_hard_one_are_told_apart():
    """Of 30 windows at least 27 name both rightly; a calibrated one is wrong nowhere, 5 % aside."""
    both, false = 0, 0
    for seed in range(30):
        found = blame_losses(*window(seed, wrong=0.4), LEAST).slices
        named = [(one.kind, one.slice.conditions) for one in found[:2]]
        both += named == [("wrong", (("b", "= 2"),)), ("hard", (("a", "= 1"),))]
        false += any(one.kind == "wrong" for one in blame_losses(*window(seed), LEAST).slices)
    assert both >= 27
    assert false <= 5


def test_masks_are_over_all_rows():
    levels, losses, mistakes = window(0, wrong=0.5)
    for one in blame_losses(levels, losses, mistakes, LEAST).slices:
        (condition,) = one.slice.conditions
        (place,) = [number for number, two in enumerate(levels) if two.name == condition[0]]
        inside = levels[place].codes == levels[place].texts.index(condition[1])
        if one.kind == "wrong":
            assert (one.slice.mask == inside).all()
        assert not (one.slice.mask & ~inside).any()
        assert one.slice.mask.sum() == one.slice.rows


def test_errors_of_a_regression_are_worse_and_promise_nothing():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 4, ROWS)
    labels = rng.normal(size=ROWS) * np.where(codes == 3, 3.0, 1.0)
    mistakes = mistakes_of("regression", labels, np.zeros(ROWS), 0.5)
    losses = Sample(mistakes.losses, np.sort(rng.integers(0, BLOCKS, ROWS)), BLOCKS)
    level = category_levels("kind", codes, list("0123"), LEAST)
    (one,) = blame_losses([level], losses, mistakes, LEAST).slices
    assert (one.kind, one.slice.conditions) == ("worse", (("kind", "= 3"),))


def test_scores_that_moved():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, 2 * ROWS)
    level = category_levels("kind", codes, list("0123"), LEAST)
    blocks = np.sort(rng.integers(0, BLOCKS, ROWS))
    before = Sample(rng.random(ROWS), blocks, BLOCKS)
    now = Sample(rng.random(ROWS) + 0.3 * (codes[:ROWS] == 2), blocks, BLOCKS)
    (one,) = blame_moves([level], now, before, LEAST).slices
    assert (one.kind, one.slice.conditions) == ("moved", (("kind", "= 2"),))
