"""The key `retrain.executor`."""

import pytest
from pydantic import BaseModel, ValidationError

from mlreg.controller.domain.executor_rule import Executing, ExecutorRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.executors.executor import GIBIBYTE, Resources
from mlreg.controller.services.training import resources_of


class Holder(BaseModel):
    executor: Executing = ExecutorRule()


@pytest.mark.parametrize(
    "given",
    ["local", "ray", "kubernetes", {"kind": "ray", "cpus": 2.0, "memory": "16GiB", "workers": 3}],
)
def test_it_comes_back_as_it_was_written(given):
    read = Holder(executor=given)
    assert read.model_dump(mode="json") == {"executor": given}
    assert Holder(**read.model_dump(mode="json")) == read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "local", "cpus": 4}, "sets nothing aside"),
        ({"kind": "kubernetes", "workers": 2}, "on ray only"),
        ({"kind": "ray", "workers": 0}, "greater than or equal to 1"),
        ({"kind": "ray", "cores": 2}, "not permitted"),
        ({"kind": "ray", "memory": "lots"}, "512MiB or 8GiB"),
        ("No Name", "Use 1 to 63"),
        (7, "ExecutorRule"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Holder(executor=given)


def test_a_full_retrain_is_shared_and_no_other_lane():
    rule = RetrainRule(executor={"kind": "ray", "cpus": 4, "memory": "2GiB", "workers": 3})
    assert resources_of(rule, "full") == Resources(4, 2 * GIBIBYTE, 0, 3)
    assert resources_of(rule, "refit").workers == 1


def test_a_policy_of_before_keeps_its_form():
    assert "executor" not in RetrainRule().model_dump(mode="json")
    written = RetrainRule(executor="kubernetes").model_dump(mode="json")
    assert written["executor"] == "kubernetes"
    assert RetrainRule.model_validate(written).executor == ExecutorRule(kind="kubernetes")


@pytest.mark.parametrize(
    "more",
    [
        {"trainer": "sklearn", "estimator": "sklearn.linear_model.SGDClassifier"},
        {"search": {"params": {"num_leaves": [7, 31]}}},
    ],
)
def test_what_several_workers_cannot_train_is_refused(more):
    with pytest.raises(ValidationError, match="one model of lightgbm only, and without `search`"):
        RetrainRule(executor={"kind": "ray", "workers": 2}, **more)
