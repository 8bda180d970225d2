"""What a search may look for, and which rows compare its trials."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.search_rule import SearchRule
from mlreg.controller.trainers.errors import SearchError
from mlreg.controller.trainers.rows import LabelledRows
from mlreg.controller.trainers.search import split_by_time

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
