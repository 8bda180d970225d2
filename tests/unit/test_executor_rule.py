"""The key `retrain.executor`."""

import pytest
from pydantic import BaseModel, ValidationError

from mlreg.controller.domain.executor_rule import Executing, ExecutorRule


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
