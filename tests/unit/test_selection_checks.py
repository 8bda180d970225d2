"""What a policy may not select, search or remember, with the line that says it."""

from datetime import timedelta

import pytest

from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.policy_rules import Known
from mlreg.controller.services.policy_checks import check_policy
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.registry.store.tables import Model

FEATURES = [{"name": "temp", "dtype": "float"}, {"name": "carrier", "dtype": "category"}]
HEAD = "model: flights\ntriggers: [{labelled_rows: 500}]\n"


def check(text):
    target = {"task": "binary"}
    model = Model(name="flights", task="binary", feature_schema=FEATURES, target_contract=target)
    known = Known(task="binary", longest_delay=timedelta(days=2))
    check_policy(HEAD + text, parse_policy(HEAD + text), model, known)


def test_features_and_labels_can_be_evened_out():
    check("data: {select: {stratified: [carrier, label], least: 50}}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "data: {select: {stratified: [airline], least: 50}}",
            "line 3: data.select: model 'flights' has no feature 'airline'",
        ),
        ("memory: {metric: rmse}", "line 3: memory.metric: a binary model has no rmse"),
        (
            "retrain: {search: {metric: ndcg, params: {num_leaves: [3, 4]}}}",
            "line 3: retrain.search.metric: a binary model has no ndcg",
        ),
        (
            "retrain: {search: {metric: bias, params: {num_leaves: [3, 4]}}}",
            "line 3: retrain.search.metric: a binary model has no bias",
        ),
        ("memory: {metric: bias}", "line 3: memory.metric: a binary model has no bias"),
    ],
)
def test_what_the_model_does_not_have_is_refused(text, problem):
    with pytest.raises(InvalidPolicyError) as caught:
        check(text)
    assert problem in str(caught.value)
