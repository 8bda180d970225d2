"""Feature and target contracts: what they are made of, and when two are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.contracts import (
    ContractMismatchError,
    Feature,
    FeatureContract,
    FeatureSchema,
    check_contract,
    check_names,
)
from mlreg.registry.domain.forms import InvalidContractError
from mlreg.registry.domain.target_contract import TargetContract

NAMES = st.text("abcdefgh_ é", min_size=1, max_size=8)
VALUES = st.lists(st.text("ABC", min_size=1, max_size=3), min_size=1, max_size=5, unique=True)
PLAIN = st.builds(
    Feature,
    name=NAMES,
    dtype=st.sampled_from(["float", "int", "bool"]),
    at_risk=st.booleans(),
)
CATEGORIES = st.builds(
    Feature,
    name=NAMES,
    dtype=st.just("category"),
    categories=VALUES.map(tuple),
    unseen=st.sampled_from(["missing", "error"]),
)
CONTRACTS = st.lists(
    st.one_of(PLAIN, CATEGORIES), min_size=1, max_size=6, unique_by=lambda feature: feature.name
).map(lambda features: FeatureContract(tuple(features)))


@given(CONTRACTS)
def test_a_contract_survives_json_with_its_digest(contract):
    text = json.dumps(contract.to_document())
    again = FeatureContract.from_json(json.loads(text))
    assert again == contract
    assert again.digest == contract.digest
    check_contract(again, contract)


@given(CONTRACTS, st.data())
def test_another_order_is_another_contract_and_names_a_column(contract, data):
    order = data.draw(st.permutations(contract.features))
    other = FeatureContract(tuple(order))
    if other == contract:
        assert other.digest == contract.digest
        return
    assert other.digest != contract.digest
    with pytest.raises(ContractMismatchError) as found:
        check_contract(other, contract)
    first = next(a for a, b in zip(other.names, contract.names, strict=True) if a != b)
    assert found.value.column == first


@given(CONTRACTS)
def test_a_lost_column_is_named(contract):
    lost = contract.names[-1]
    with pytest.raises(ContractMismatchError) as found:
        check_names(contract.names[:-1], contract.names)
    assert found.value.column == lost


def test_pinning_fills_only_open_categories():
    schema = FeatureSchema.from_json(
        [
            {"name": "a", "dtype": "category"},
            {"name": "b", "dtype": "category", "categories": ["x"]},
            {"name": "c", "dtype": "float", "default": 0, "at_risk": True},
        ]
    )
    contract = schema.pin({"a": ["2", "1"], "b": ["y"]})
    assert contract["a"].categories == ("2", "1")
    assert contract["b"].categories == ("x",)
    check_contract(contract, schema)
    with pytest.raises(InvalidContractError, match="'a': its categories are not pinned"):
        schema.pin({"b": ["y"]})
    with pytest.raises(ContractMismatchError, match="'b'"):
        check_contract(FeatureContract((contract["a"], CHANGED, contract["c"])), schema)


CHANGED = Feature("b", "category", ("x", "z"))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (3, "must be a list"),
        ("abc", "must be a list"),
        ([], "1 to"),
        ([3], "must be a mapping"),
        ([{"dtype": "float"}], "no name"),
        ([{"name": "", "dtype": "float"}], "1 to 200"),
        ([{"name": "a\n", "dtype": "float"}], "printable"),
        ([{"name": "a"}], "dtype must be text"),
        ([{"name": "a", "dtype": "number"}], "dtype must be one of"),
        ([{"name": "a", "dtype": "float", "colour": 1}], "unknown key 'colour'"),
        ([{"name": "a", "dtype": "float", "categories": ["x"]}], "only a category"),
        ([{"name": "a", "dtype": "category", "categories": []}], "distinct, and not none"),
        ([{"name": "a", "dtype": "category", "categories": ["x", "x"]}], "distinct"),
        ([{"name": "a", "dtype": "category", "categories": [1]}], "must be text"),
        ([{"name": "a", "dtype": "category", "unseen": "panic"}], "missing, error or hash"),
        ([{"name": "a", "dtype": "int", "default": True}], "not a int"),
        ([{"name": "a", "dtype": "int", "default": 1.5}], "not a int"),
        ([{"name": "a", "dtype": "bool", "default": 1}], "not a bool"),
        ([{"name": "a", "dtype": "float", "at_risk": "yes"}], "true or false"),
        ([{"name": "a", "dtype": "float"}] * 2, "'a': it is there twice"),
        ([{"name": "time", "dtype": "int"}], "'time': logged rows have a column of that name"),
    ],
)
def test_a_broken_schema_is_named(form, words):
    with pytest.raises(InvalidContractError, match=words):
        FeatureSchema.from_json(form)


def test_targets_have_defaults_and_survive_json():
    binary = TargetContract.from_json({"task": "binary"})
    assert (binary.classes, binary.positive_class) == (("0", "1"), "1")
    assert TargetContract.from_json(binary.to_json()) == binary
    named = TargetContract.from_json(
        {"task": "binary", "classes": ["late", "ok"], "positive_class": "late"}
    )
    assert named.digest != binary.digest
    for form in (
        {"task": "regression", "classes": ["a", "b"]},
        {"task": "multiclass"},
        {"task": "binary", "max_label_delay_seconds": True},
        {"task": "ranking"},
        {},
        1,
    ):
        with pytest.raises(InvalidContractError):
            TargetContract.from_json(form)
