"""Rows with what only some log: a score of each class, the arm of a router and its propensity."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlreg.client.errors import InvalidError
from mlreg.controller.api import feedback
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model
from tests.feedback_makers import FEATURES, NOW, START, make_store, predictions

SPAN = Interval(START, START + timedelta(days=2))


@pytest.fixture
def extra_routers():
    return (feedback.router,)


@pytest.fixture
def model(database):
    target = TargetContract.from_json({"task": "multiclass", "classes": ["a", "b", "c"]})
    wanted = ModelSpecification("pets", target, FeatureSchema.from_json(FEATURES))
    with database.writing() as session:
        return create_model(session, wanted, actor=SYSTEM, now=NOW)


def routed(rows):
    scores = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], rows.num_rows)
    return (
        rows.append_column("scores", pa.array(scores.tolist()))
        .append_column("arm", pa.array(["champion"] * rows.num_rows))
        .append_column("propensity", pa.array([0.9] * rows.num_rows))
    )


def logged(database, store, model, columns=None):
    drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        return read_rows(store, select_rows(session, model, SPAN, NOW), columns)


@pytest.mark.parametrize("as_json", [False, True])
def test_routed_rows_come_back_beside_rows_that_were_not(
    client, database, tmp_path, model, as_json
):
    store = make_store(tmp_path)
    plain, more = predictions(0, 5), routed(predictions(5, 5))
    client.log.predictions("pets", plain, "a")
    before = logged(database, store, model)
    assert not {"scores", "arm", "propensity"} & set(before.column_names)
    wanted = ["prediction_id", "scores", "arm", "propensity"]
    assert logged(database, store, model, wanted)["scores"].null_count == 5
    if as_json:
        rows = [{**row, "time": row["time"].isoformat()} for row in more.to_pylist()]
        assert client.log.predictions("pets", rows, "b").rows == 5
    else:
        assert client.log.predictions("pets", more, "b").rows == 5
    found = logged(database, store, model, wanted)
    assert found["scores"].to_pylist() == [None] * 5 + more["scores"].to_pylist()
    assert found["arm"].to_pylist() == [None] * 5 + ["champion"] * 5
    assert found["propensity"].to_pylist() == [None] * 5 + [0.9] * 5


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("scores", [[0.2, 0.8]] * 3, r"row 1: \[0.2, 0.8\] is not one score for each of 3 classes"),
        ("scores", [[0.2, 0.3, 0.5], [0.2, 1.3, 0.5], None], "row 2: 1.3 is not a probability"),
        ("scores", [None, None, [0.2, None, 0.8]], "row 3: None is not a probability"),
        ("scores", [None, [0.1, float("nan"), 0.8], None], "row 2: nan is not a probability"),
        ("scores", [0.1, 0.2, 0.3], "it is double, where a list of numbers is needed"),
        ("scores", [["x"]] * 3, "it is list<item: string>, where a list of numbers is needed"),
        ("propensity", [1.0, 0.0, 0.5], "row 2: 0.0 is not a probability above zero"),
        ("propensity", [1.0, 0.5, 1.5], "row 3: 1.5 is not a probability above zero"),
        ("arm", ["a", "", "b"], "row 2: '' is empty"),
    ],
)
def test_wrong_ones_are_named(client, model, column, values, said):
    del model
    with pytest.raises(InvalidError, match=f"column '{column}'.*{said}"):
        client.log.predictions("pets", predictions(0, 3).append_column(column, pa.array(values)))


def test_only_a_multiclass_model_has_a_score_of_each_class(client, database):
    target = TargetContract.from_json({"task": "binary"})
    wanted = ModelSpecification("flights", target, FeatureSchema.from_json(FEATURES))
    with database.writing() as session:
        create_model(session, wanted, actor=SYSTEM, now=NOW)
    rows = predictions(0, 2).append_column("scores", pa.array([[0.5, 0.5]] * 2))
    with pytest.raises(InvalidError, match="column 'scores': not a column of this model's log"):
        client.log.predictions("flights", rows)
