"""The validator on real model files, and on many small mutations of one."""

from __future__ import annotations

import re
import time

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlreg.client.scoring.errors import ModelFileError, ParserRefusedError
from mlreg.client.scoring.lightgbm_text import validate
from mlreg.client.scoring.parser import ModelParser, parse_in_child


def train(objective="binary", *, trees=3, leaves=7, rows=1500, **params):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(rows, 4))
    matrix[:, 3] = rng.integers(0, 40, rows)
    matrix[::7, 1] = np.nan
    label = matrix[:, 0] + (matrix[:, 3] % 3) + rng.normal(size=rows)
    if objective == "binary":
        label = (label > 1).astype(float)
    if objective == "multiclass":
        label = rng.integers(0, 3, rows)
    params = {"objective": objective, "num_leaves": leaves, "verbose": -1, **params}
    data = lightgbm.Dataset(
        matrix, label, feature_name=["a", "b", "c", "d"], categorical_feature=[3]
    )
    return lightgbm.train({"num_threads": 2, **params}, data, trees).model_to_string()


@pytest.fixture(scope="module")
def text():
    return train()


@pytest.mark.parametrize(
    ("objective", "params"),
    [
        ("binary", {}),
        ("regression", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}),
        ("regression", {"monotone_constraints": [1, 0, 0, 0]}),
        ("huber", {"boost_from_average": False}),
        ("multiclass", {"num_class": 3}),
        ("binary", {"min_data_in_leaf": 1400}),  # stumps only
        ("regression", {"reg_sqrt": True}),
        ("regression", {"interaction_constraints": [[0, 1], [2, 3]]}),
    ],
)
def test_what_lightgbm_writes_passes_here_and_in_the_child(objective, params):
    model = train(objective, **params)
    summary = validate(model)
    assert summary.objective == objective
    assert summary.feature_names == ("a", "b", "c", "d")
    parse_in_child(model.encode(), summary)


def test_the_summary_says_what_the_file_says(text):
    summary = validate(text.encode())
    assert (summary.num_trees, summary.num_class, summary.max_leaves) == (3, 1, 7)
    assert summary.objective_words == {"sigmoid": "1"}
    assert summary.parameters["num_leaves"] == "7"


def test_a_refitted_and_a_continued_model_pass():
    base = lightgbm.Booster(model_str=train(boost_from_average=False))
    rng = np.random.default_rng(1)
    matrix, label = rng.normal(size=(500, 4)), (rng.random(500) > 0.5).astype(float)
    assert validate(base.refit(matrix, label).model_to_string()).num_trees == 3


def test_a_large_model_takes_tens_of_milliseconds():
    model = train(trees=400, leaves=31, rows=4000)
    start = time.process_time()
    assert validate(model).num_trees == 400
    assert time.process_time() - start < 0.5  # about 0.07 s; generous for a busy machine


def field(name, change, tree=0):
    """Change the value of a field in one tree; tree_sizes are made to fit."""

    def mutate(text):
        trees = re.split(r"(?=\nTree=)", text)
        trees[tree + 1], count = re.subn(
            rf"(?<=\n{name}=).*", lambda match: change(match[0]), trees[tree + 1], count=1
        )
        assert count == 1
        return with_sizes("".join(trees))

    return mutate


def with_sizes(text):
    """Return the text with `tree_sizes` that fit its trees, as an attacker would write them."""
    body = text[text.index("\nTree=") + 1 : text.index("end of trees")]
    sizes = [str(len(tree)) for tree in re.split(r"(?=^Tree=)", body, flags=re.MULTILINE) if tree]
    return re.sub(r"(?<=\ntree_sizes=).*", " ".join(sizes), text)


def header(name, change):
    def mutate(text):
        mutated, count = re.subn(rf"(?<=\n{name}=).*", lambda m: change(m[0]), text, count=1)
        assert count == 1
        return mutated

    return mutate


def word(place, value):
    def change(values):
        words = values.split(" ")
        words[place] = value
        return " ".join(words)

    return change


def detached_cycle(values):
    """Let a node be its own child, so that still each has one parent but two have no root."""
    children = [int(one) for one in values.split(" ")]
    place = next(place for place, child in enumerate(children) if child > 0)
    below = children[place]
    children[place], children[below] = children[below], below
    return " ".join(map(str, children))


MUTATIONS = {
    "detached cycle": field("left_child", detached_cycle),
    "left child out of range": field("left_child", word(0, "900000")),
    "right child far below": field("right_child", word(0, "-900000")),
    "child is itself": field("left_child", word(0, "0")),
    "cycle of two": field("left_child", word(1, "0")),
    "leaf with two parents": field("right_child", lambda v: word(-1, v.split(" ")[-2])(v)),
    "split feature beyond": field("split_feature", word(0, "900000")),
    "split feature negative": field("split_feature", word(0, "-1")),
    "num_leaves too large": field("num_leaves", lambda _: "900"),
    "num_leaves huge": field("num_leaves", lambda _: "2000000000"),
    "num_leaves zero": field("num_leaves", lambda _: "0"),
    "num_leaves negative": field("num_leaves", lambda _: "-5"),
    "num_cat too large": field("num_cat", lambda _: "5"),
    "num_cat zero with category splits": field("num_cat", lambda _: "0"),
    "cat_boundaries beyond": field("cat_boundaries", word(-1, "90000")),
    "cat_boundaries not rising": field("cat_boundaries", word(0, "5")),
    "cat_threshold too few": field("cat_threshold", lambda v: v.split(" ")[0]),
    "category index beyond": field("threshold", lambda v: v.replace(" 0 ", " 77 ")),
    "decision type unknown": field("decision_type", word(0, "127")),
    "categorical by decision alone": field("decision_type", lambda v: v.replace("2", "1")),
    "leaf value NaN": field("leaf_value", word(0, "nan")),
    "leaf value infinite": field("leaf_value", word(0, "inf")),
    "leaf value overflows": field("leaf_value", word(0, "1e999")),
    "leaf values too few": field("leaf_value", lambda v: v.split(" ", 1)[1]),
    "thresholds too few": field("threshold", lambda v: v.split(" ", 1)[1]),
    "left children too few": field("left_child", lambda v: v.split(" ", 1)[1]),
    "left children too many": field("left_child", lambda v: v + " 3"),
    "letters in numbers": field("split_feature", word(0, "x")),
    "underscore in a number": field("leaf_count", lambda v: "1_0" + v[v.index(" ") :]),
    "linear leaves": field("is_linear", lambda _: "1"),
    "shrinkage NaN": field("shrinkage", lambda _: "nan"),
    "empty field": field("right_child", lambda _: ""),
    "max_feature_idx too small": header("max_feature_idx", lambda _: "1"),
    "max_feature_idx too large": header("max_feature_idx", lambda _: "900000"),
    "max_feature_idx negative": header("max_feature_idx", lambda _: "-2"),
    "num_class zero": header("num_class", lambda _: "0"),
    "num_class large": header("num_class", lambda _: "900"),
    "trees per iteration": header("num_tree_per_iteration", lambda _: "2"),
    "objective unknown": header("objective", lambda _: "mystery"),
    "objective without sigmoid": header("objective", lambda _: "binary sigmoid:0"),
    "objective with classes": header("objective", lambda _: "multiclass num_class:7"),
    "tree_sizes first grown": header("tree_sizes", lambda v: "9" + v),
    "tree_sizes negative": header("tree_sizes", word(0, "-5")),
    "tree_sizes too many": header("tree_sizes", lambda v: v + " 700"),
    "tree_sizes too few": header("tree_sizes", lambda v: v.split(" ", 1)[1]),
    "feature names too few": header("feature_names", lambda _: "a b c"),
    "feature names twice": header("feature_names", lambda _: "a a c d"),
    "feature infos too few": header("feature_infos", lambda _: "none"),
    "version unknown": header("version", lambda _: "v9"),
    "no header end": lambda text: text.replace("\n\nTree=0", "\nTree=0", 1),
    "tree numbers": lambda text: text.replace("\nTree=1", "\nTree=7", 1),
    "field missing": lambda text: with_sizes(re.sub(r"\nthreshold=.*", "", text, count=1)),
    "field twice": lambda text: with_sizes(text.replace("\nnum_cat", "\nnum_leaves=7\nnum_cat", 1)),
    "unknown field": lambda text: with_sizes(text.replace("\nnum_cat", "\nevil=7\nnum_cat", 1)),
    "truncated in a tree": lambda text: text[: text.index("Tree=1") + 200],
    "truncated after the trees": lambda text: text[: text.index("end of trees")],
    "truncated parameters": lambda text: text[: text.index("end of parameters")],
    "NUL byte": lambda text: text.replace("Tree=1", "Tree\0=1"),
    "carriage return": lambda text: text.replace("\n", "\r\n"),
    "text behind the end": lambda text: text + "more\n",
    "pandas categories": lambda text: text.replace("categorical:null", 'categorical:[["x"]]'),
    "importance of a stranger": lambda text: text.replace("\na=", "\nz=", 1),
    "empty": lambda _: "",
    "not a model": lambda _: "tree\nversion=v4\n\nTree=0\n",
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_refused_by_name_of_section(text, name):
    mutated = MUTATIONS[name](text)
    assert mutated != text
    with pytest.raises(ModelFileError) as caught:
        validate(mutated)
    assert caught.value.where
    assert "\n" not in str(caught.value)


LETHAL = ["left child out of range", "child is itself", "split feature beyond", "num_leaves huge"]


@pytest.mark.parametrize("name", LETHAL)
def test_the_child_dies_of_what_the_validator_would_have_refused_and_the_caller_lives(text, name):
    """The second line of defence, alone: LightGBM's parser meets the mutation in the child."""
    mutated = MUTATIONS[name](text).encode()
    with pytest.raises(ParserRefusedError):
        parse_in_child(mutated, validate(text), wall_seconds=1)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_small_mutation_is_refused_or_harmless(text, data):
    """Bytes changed, cut or doubled: refused here, or a model that the child parses and scores."""
    at = data.draw(st.integers(0, text.index("end of trees")))
    length = data.draw(st.integers(0, 3))
    new = data.draw(st.text(alphabet="0123456789-. =\neTrx", max_size=3))
    mutated = text[:at] + new + text[at + length :]
    try:
        summary = validate(mutated)
    except ModelFileError:
        return
    if data.draw(st.integers(0, 9)) == 0:  # the child takes 60 ms: a sample of them
        assert "killed" not in said_by_child(mutated.encode(), summary)


def said_by_child(content, summary):
    try:
        parse_in_child(content, summary)
    except ParserRefusedError as error:
        return str(error)
    return ""


def test_digests_that_passed_are_remembered_in_the_folder(text, tmp_path, monkeypatch):
    content = text.encode()
    assert ModelParser(tmp_path / "parsed").check(content).num_trees == 3

    def no_child(*_args, **_kwargs):
        raise AssertionError

    monkeypatch.setattr("mlreg.client.scoring.parser.parse_in_child", no_child)
    assert ModelParser(tmp_path / "parsed").check(content).num_trees == 3
    with pytest.raises(AssertionError):
        ModelParser(tmp_path / "other").check(content)


def test_other_bytes_than_those_of_the_digest_are_refused(text):
    with pytest.raises(ModelFileError, match="digest"):
        ModelParser().check(text.encode(), digest="sha256:" + "0" * 64)
