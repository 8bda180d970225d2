"""Tree hashes on real model files: what changes them, what does not, and where models part."""

from __future__ import annotations

import math
import re

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlreg.client.scoring.errors import ModelFileError
from mlreg.client.scoring.tree_hash import Difference, find_difference, hash_model
from tests.unit.test_lightgbm_text import train

TREES = 5


@pytest.fixture(scope="module")
def text():
    return train(trees=TREES)


def resized(text):
    """The text with the sizes that its trees have now."""
    _head, *blocks = text.partition("end of trees")[0].split("\nTree=")
    sizes = " ".join(str(len(f"Tree={block}\n".encode())) for block in blocks[:-1])
    last = len(f"Tree={blocks[-1]}".encode())
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes} {last}", text, count=1)


def changed(text, tree, field, edit):
    """The text with one field of one tree edited."""
    blocks = text.split("\nTree=")
    pattern = re.compile(rf"^{field}=(.*)$", re.MULTILINE)
    blocks[tree + 1] = pattern.sub(lambda found: f"{field}={edit(found[1])}", blocks[tree + 1], 1)
    return resized("\nTree=".join(blocks)).encode()


def first_word(edit):
    return lambda value: " ".join([edit(value.split(" ")[0]), *value.split(" ")[1:]])


def test_the_same_training_has_the_same_hashes_and_another_seed_has_not(text):
    ours = hash_model(text.encode())
    assert ours == hash_model(train(trees=TREES).encode())
    assert ours.digest == hash_model(train(trees=TREES).encode()).digest
    assert len(ours.trees) == TREES
    assert len({tree.digest for tree in ours.trees}) == TREES
    other = hash_model(train(trees=TREES, bagging_fraction=0.5, bagging_freq=1).encode())
    assert find_difference(ours, other).trees == TREES


@pytest.mark.parametrize("field", ["split_gain", "internal_value", "leaf_weight", "leaf_count"])
def test_what_no_answer_depends_on_is_not_in_it(text, field):
    edited = changed(text, 2, field, first_word(lambda word: str(int(float(word)) + 1)))
    assert edited != text.encode()
    assert hash_model(edited) == hash_model(text.encode())


def test_another_spelling_of_a_number_is_the_same_number(text):
    edited = changed(text, 1, "leaf_value", first_word(lambda word: f"{float(word):.20f}0000"))
    ours, theirs = hash_model(text.encode()), hash_model(edited)
    digits = re.search(r"leaf_value=(\S+)", text.split("\nTree=")[2])[1]
    assert float(digits) == float(f"{float(digits):.20f}")
    assert theirs == ours


@pytest.mark.parametrize(
    ("field", "edit", "part"),
    [
        ("leaf_value", lambda word: repr(math.nextafter(float(word), 9.0)), "leaves"),
        ("threshold", lambda word: repr(float(word) + 0.25), "thresholds"),
        ("split_feature", lambda word: str(1 - int(word)), "structure"),
        ("decision_type", lambda word: str(int(word) ^ 2), "structure"),
    ],
)
def test_the_first_tree_that_differs_is_named_with_the_part(field, edit, part):
    model = train(trees=TREES, min_data_per_group=10_000)
    edited = changed(model, 3, field, first_word(edit))
    found = find_difference(hash_model(model.encode()), hash_model(edited))
    assert found == Difference(part, 3, 1)


def test_a_category_that_goes_the_other_way_is_a_threshold(text):
    tree = next(
        number for number, block in enumerate(text.split("\nTree=")[1:]) if "num_cat=0" not in block
    )
    edited = changed(text, tree, "cat_threshold", first_word(lambda word: str(int(word) ^ 1)))
    found = find_difference(hash_model(text.encode()), hash_model(edited))
    assert (found.part, found.tree) == ("thresholds", tree)


def test_a_model_with_more_trees_parts_where_the_other_ends(text):
    longer = hash_model(train(trees=TREES + 2).encode())
    assert find_difference(hash_model(text.encode()), longer) == Difference("count", TREES, 2)


def test_another_objective_or_name_parts_in_the_header(text):
    regression = hash_model(train("regression", trees=TREES).encode())
    assert find_difference(hash_model(text.encode()), regression).part == "header"


def test_a_broken_file_has_no_hash(text):
    with pytest.raises(ModelFileError):
        hash_model(text.encode()[:-3000])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=st.integers(0, TREES - 1), leaf=st.integers(0, 6), delta=st.floats(1e-9, 1e9))
def test_models_of_equal_hashes_answer_alike_and_others_do_not(tree, leaf, delta):
    """One leaf moved by anything: another hash, and for some row another answer."""
    model = train(trees=TREES)

    def move(value):
        words = value.split(" ")
        words[leaf % len(words)] = repr(float(words[leaf % len(words)]) + delta)
        return " ".join(words)

    edited = changed(model, tree, "leaf_value", move)
    rows = np.random.default_rng(1).normal(size=(3000, 4)) * 3
    rows[:, 3] = np.random.default_rng(2).integers(0, 40, 3000)
    ours, theirs = (
        lightgbm.Booster(model_str=one).predict(rows, raw_score=True)
        for one in (model, edited.decode())
    )
    same = find_difference(hash_model(model.encode()), hash_model(edited)) is None
    assert same == bool((ours == theirs).all())
