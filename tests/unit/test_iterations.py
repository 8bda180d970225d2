"""What makes another model, and what is the same one on newer rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.iterations import Ancestor, model_iteration
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.trainers.seeds import step_seed
from mlreg.registry.domain.contracts import FeatureContract, FeatureSchema

FEATURES = [
    {"name": "temp", "dtype": "float"},
    {"name": "carrier", "dtype": "category", "categories": ["AA", "UA"]},
]
CONTRACT = FeatureContract.from_json(FEATURES)


def found(rule, features=FEATURES, **ancestor):
    ancestor = {"trainer": "lightgbm", "objective": "binary", **ancestor}
    schema = FeatureSchema.from_json(features)
    return model_iteration(
        RetrainRule.model_validate(rule), "binary", schema, Ancestor(CONTRACT, **ancestor)
    )


@pytest.mark.parametrize(
    ("rule", "features", "ancestor", "said"),
    [
        ({}, FEATURES, {}, None),
        ({"params": {"app": "binary", "num_leaves": 9}}, FEATURES, {}, None),
        ({}, FEATURES, {"objective": None}, None),
        ({}, FEATURES, {"objective": "cross_entropy"}, "the objective was cross_entropy"),
        ({}, FEATURES, {"trainer": "sklearn"}, "the trainer was sklearn"),
        ({}, FEATURES[:1], {}, "another feature contract: "),
        ({}, [*FEATURES, {"name": "rain", "dtype": "bool"}], {}, "'rain'"),
        ({}, [{"name": "temp", "dtype": "int"}, FEATURES[1]], {}, "it is float"),
        ({"steps": [{"hashed": ["carrier"], "buckets": 4}]}, FEATURES, {}, "'carrier'"),
    ],
)
def test_another_contract_trainer_or_objective_is_another_model(rule, features, ancestor, said):
    answer = found(rule, features, **ancestor)
    assert answer is None if said is None else said in answer


@given(st.integers(0, 2**31 - 1), st.sampled_from(["refit", "continue"]), st.integers(1, 50))
def test_each_step_of_a_chain_has_a_seed_of_its_own(seed, lane, depth):
    assert step_seed(seed, "full", 0) == seed
    mine = step_seed(seed, lane, depth)
    assert 0 <= mine < 2**31
    assert mine == step_seed(seed, lane, depth)
    others = {step_seed(seed, "continue", depth + 1), step_seed(seed, "refit", depth + 1)}
    assert mine not in others
