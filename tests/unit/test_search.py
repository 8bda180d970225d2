"""What a search may look for, and which rows compare its trials."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.client.scoring.encoding import encode
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.search_rule import SearchRule
from mlreg.controller.trainers.errors import SearchError
from mlreg.controller.trainers.job import TrainJob
from mlreg.controller.trainers.rows import LabelledRows, labelled_rows
from mlreg.controller.trainers.search import Searching, search, split_by_time
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

LEAVES = {"num_leaves": [15, 31]}


def rows_at(times, groups=None):
    stamps = pa.array(times, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return LabelledRows(
        pa.table({"time": stamps}),
        np.zeros(len(times)),
        None,
        0,
        None if groups is None else np.array(groups, dtype=np.intp),
    )


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=60),
    st.floats(0.05, 0.5),
    st.booleans(),
    st.integers(0, 99),
)
def test_trials_are_compared_on_rows_that_are_newer_than_all_they_train_on(
    times, share, grouped, seed
):
    groups = np.random.default_rng(seed).integers(0, 5, len(times)) if grouped else None
    rows = rows_at(times, groups)
    try:
        older, newer = split_by_time(rows, share)
    except SearchError:
        return
    assert sorted([*older, *newer]) == list(range(len(times)))
    values = np.array(times)
    if groups is None:
        assert values[older].max() < values[newer].min()
    else:
        assert not set(groups[older]) & set(groups[newer]), "no group is on both sides"
        assert values[older].max() < max(values[newer])


class Guesses:
    """A trainer of the constant that it is told."""

    def train(self, task, model):
        model.write_text(str(task.params["chance"]))

    def score(self, model, matrix, *, threads):
        del threads
        return np.full(len(matrix), float(model.path.read_text()))


def searched(tmp_path, weights, own=None, ones=range(0, 80, 10)):
    """Search a constant for 80 rows of which few are of class 1, first with the chance 0.5."""
    stamps = pa.array(range(80), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    labels = np.array([float(number in ones) for number in range(80)])
    columns = {"time": stamps, "label": labels, "x": np.zeros(80), "weight": weights(labels)}
    if own is not None:
        columns["mlreg:weight"] = own(labels)
    table, target = pa.table(columns), TargetContract.from_json({"task": "binary"})
    contract = FeatureContract.from_json([{"name": "x", "dtype": "float"}])
    job = TrainJob(
        format=1, data=("rows",), target=target.to_json(), params={"chance": 0.5}, trainer="guesses"
    )
    encoded = encode(contract.to_document(), table)
    rows = labelled_rows(table, target)
    searching = Searching(tmp_path, job, Guesses(), target, contract, rows, encoded)
    rule = SearchRule.model_validate({"params": {"chance": [0.1, 0.9]}, "trials": 6, "share": 0.5})
    return search(searching, rule).chosen["chance"]


def test_trials_are_compared_by_the_weights_that_rows_were_logged_with(tmp_path):
    """As a gate compares: what a selection made of the weights for the training is left out."""

    def dear(labels):
        return np.where(labels == 1, 100.0, 1.0)

    assert searched(tmp_path, np.ones_like) == 0.1
    assert searched(tmp_path, dear) == 0.9
    assert searched(tmp_path, np.ones_like, own=dear) == 0.9
    assert searched(tmp_path, dear, own=np.ones_like) == 0.1


def test_newest_rows_that_count_nothing_compare_no_trials(tmp_path):
    def older(labels):
        return np.where(np.arange(len(labels)) < 40, 1.0, 0.0)

    with pytest.raises(SearchError, match=r"newest rows, by which .* compared: every weight is 0"):
        searched(tmp_path, older)


def test_older_rows_of_one_class_are_no_fault_of_data_steps_that_there_are_not(tmp_path):
    """All rows together have both classes; whether a trainer can learn from some is its own."""
    assert searched(tmp_path, np.ones_like, ones=range(40, 80, 10)) == 0.1


def test_rows_of_one_moment_cannot_be_split():
    with pytest.raises(SearchError, match="3 rows cannot be split by time"):
        split_by_time(rows_at([7, 7, 7]), 0.25)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"params": {}}, "at least 1 item"),
        ({"params": {"num_leaves": 31}}, "a list of values to choose from, or a range"),
        ({"params": {"num_leaves": []}}, "different values"),
        ({"params": {"num_leaves": [3, 3]}}, "different values"),
        ({"params": {"rate": {"low": 1, "high": 1}}}, "low must be below high"),
        ({"params": {"rate": {"low": 0, "high": 1.0, "log": True}}}, "begins above 0"),
        ({"params": {"rate": {"low": 0.1}}}, "Field required"),
        ({"params": LEAVES, "trials": 0}, "greater than or equal to 1"),
        ({"params": LEAVES, "seconds": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(form, message):
    with pytest.raises(ValidationError, match=message):
        SearchRule.model_validate(form)


def test_a_search_leaves_time_to_train():
    with pytest.raises(ValidationError, match=r"less than limits\.wall"):
        RetrainRule.model_validate({"search": {"params": LEAVES, "seconds": 7200}})


def test_a_rule_reads_what_it_wrote():
    form = {"params": {**LEAVES, "rate": {"low": 0.01, "high": 0.3, "log": True}}, "trials": 5}
    rule = RetrainRule.model_validate({"search": form})
    text = rule.model_dump_json(by_alias=True)
    assert RetrainRule.model_validate_json(text, strict=True) == rule, "as a policy file is read"
    assert rule.search.params["num_leaves"] == (15, 31)
    assert not rule.search.params["rate"].is_whole
