"""`--param NAME=VALUE` of `mlreg retrain`."""

import pytest

from mlreg.cli.commands.run import parameters
from mlreg.client.errors import InvalidError


def test_values_are_numbers_truths_or_text():
    pairs = ["num_leaves=31", "learning_rate=5e-2", "extra_trees=true", "objective=binary", "x=a=b"]
    assert parameters(pairs) == {
        "num_leaves": 31,
        "learning_rate": 0.05,
        "extra_trees": True,
        "objective": "binary",
        "x": "a=b",
    }


@pytest.mark.parametrize("pair", ["rate=nan", "rate=-inf", "rate=1e999"])
def test_what_is_no_finite_number_is_refused_by_its_name(pair):
    with pytest.raises(InvalidError, match=f"'{pair}' has no finite number"):
        parameters([pair])
