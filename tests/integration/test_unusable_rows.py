"""Rows that no model can be made of: the trainer's child refuses them in one line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.trainers.child import train
from tests.integration.training_folder import check_refused, make_rows, read_result, train_job

ROWS = make_rows(days=2)
LABELS = ROWS["label"].to_numpy()
REGRESSION = {"target": {"task": "regression", "max_label_delay_seconds": 86400}}


def with_column(name, values):
    return ROWS.set_column(ROWS.column_names.index(name), name, pa.array(values))


def weighed(weight):
    return {"steps": [{"class_weights": {"0": weight, "1": weight}}]}


REFUSED = {
    "one row weighs all": (
        with_column("weight", np.where(np.arange(len(ROWS)) == 3, 1e308, 1.0)),
        {},
        "a row has the weight 1e+308, and 1e+30 is the most",
    ),
    "nothing weighs": (with_column("weight", np.full(len(ROWS), 1e-310)), {}, "below 1e-30"),
    "a class of weight 0": (
        with_column("weight", LABELS),
        {},
        "every label of a row whose weight is not 0 is 1; two classes are needed",
    ),
    "no row of a class is kept": (
        ROWS,
        {"steps": [{"subsample": 0.0001, "where": {"label": 0}}]},
        "after the data steps every label is 1; two classes are needed",
    ),
    "classes weigh too much": (ROWS, weighed(1e308), "after the data steps a row has the weight"),
    "classes weigh nothing": (ROWS, weighed(1e-300), "after the data steps every weight is below"),
    "numbers without a spread": (
        with_column("temp", np.where(np.arange(len(ROWS)) % 7, 0.5, 1e200)),
        {"steps": [{"noise": ["temp"], "sigma": 0.1}]},
        "the data step 'noise' changes 'temp', whose numbers are too large",
    ),
    "numbers that cannot be scaled": (
        with_column("temp", np.where(np.arange(len(ROWS)) % 7, 0.5, 1e200)),
        {
            "trainer": "sklearn",
            "estimator": "sklearn.linear_model.LogisticRegression",
            "params": {},
        },
        "the numbers of 'temp' are too large to be scaled",
    ),
    "a category without a value": (
        with_column("carrier", pa.nulls(len(ROWS), pa.string())),
        {},
        "none of them has a value of 'carrier'",
    ),
    "labels whose squares are infinite": (
        with_column("label", LABELS * 1e300),
        REGRESSION,
        "are labels or weights too large?",
    ),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_said_in_one_line(tmp_path, name):
    table, changes, said = REFUSED[name]
    check_refused(train_job(tmp_path, table, **changes), said)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"upsample": 3, "where": {"hour": 99}}, True),
        ({"class_weights": {"0": 1, "1": 1}}, True),
        ({"subsample": 0.001, "where": {"hour": 3}}, False),  # it leaves none of that hour
    ],
)
def test_a_step_that_changes_nothing_is_told(tmp_path, capfd, step, told):
    folder = train_job(tmp_path, ROWS, steps=[step])
    train(folder)
    assert read_result(folder)["outcome"] == "trained"
    (kind, *_) = step
    said = f"the data step {kind!r} changed no row: nothing came of it" in capfd.readouterr().out
    assert said == told
