from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlreg.client.scoring.encoding import MISSING, UNSEEN, encode
from mlreg.client.scoring.errors import (
    ColumnError,
    ColumnTypeError,
    MissingColumnError,
    UnseenCategoryError,
)

CONTRACT = {
    "format": 1,
    "features": [
        {"name": "temp", "dtype": "float"},
        {"name": "carrier", "dtype": "category", "categories": ["UA", "AA"]},
        {"name": "hour", "dtype": "int"},
        {"name": "late", "dtype": "bool"},
    ],
}
COLUMNS = {
    "carrier": ["AA", None, "ZZ"],
    "late": [True, None, False],
    "temp": [1, 2.5, None],
    "hour": [1, None, 3],
}
EXPECTED = np.array([[1, 1, 1, 1], [2.5, np.nan, np.nan, np.nan], [np.nan, np.nan, 3, 0]])
KINDS = {
    "lists": COLUMNS,
    "table": pa.table(COLUMNS),
    "batch": pa.RecordBatch.from_pydict(COLUMNS),
    "dictionary": {**COLUMNS, "carrier": pa.array(COLUMNS["carrier"]).dictionary_encode()},
    "numpy": {
        **COLUMNS,
        "carrier": np.array(COLUMNS["carrier"], dtype=object),
        "temp": np.array([1, 2.5, np.nan], dtype=np.float32),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_gives_the_same_matrix_in_the_contracts_order(kind):
    encoded = encode(CONTRACT, KINDS[kind])
    np.testing.assert_array_equal(encoded.matrix, EXPECTED)
    assert encoded.codes["carrier"].tolist() == [1, MISSING, UNSEEN]
    assert encoded.unseen == {"carrier": 1}


def test_codes_follow_the_contract_not_the_alphabet_or_the_order_of_rows():
    turned = {**CONTRACT, "features": [dict(f) for f in CONTRACT["features"]]}
    turned["features"][1]["categories"] = ["AA", "UA"]
    row = {"carrier": ["UA"], "temp": [0.0], "hour": [1], "late": [False]}
    assert encode(CONTRACT, row).matrix[0, 1] == 0
    assert encode(turned, row).matrix[0, 1] == 1


@pytest.mark.parametrize(
    ("column", "values", "error"),
    [
        ("carrier", [1, 2, 3], ColumnTypeError),
        ("temp", ["1", "2", "3"], ColumnTypeError),
        ("temp", [1.0, "2", 3.0], ColumnError),
        ("temp", [float("inf"), 1.0, 1.0], ColumnError),
        ("hour", [1.5, 1, 1], ColumnTypeError),
        ("late", [2, 1, 0], ColumnTypeError),
        ("late", [True], ColumnError),
        ("temp", [[1.0], [2.0], [3.0]], ColumnTypeError),
    ],
)
def test_a_broken_column_is_named(column, values, error):
    with pytest.raises(error) as caught:
        encode(CONTRACT, {**COLUMNS, column: values})
    assert caught.value.column == column
    assert repr(column) in str(caught.value)


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumnError, match="'hour' is missing"):
        encode(CONTRACT, {name: values for name, values in COLUMNS.items() if name != "hour"})


def test_an_unseen_category_is_an_error_where_the_contract_says_so():
    strict = {"features": [{**CONTRACT["features"][1], "unseen": "error"}]}
    with pytest.raises(UnseenCategoryError, match=r"'carrier'.*'ZZ' \(1 rows\)"):
        encode(strict, COLUMNS)
    assert encode(strict, {"carrier": ["AA", None]}).unseen == {}


def test_no_rows_and_all_missing_columns_encode():
    empty = {name: [] for name in COLUMNS}
    assert encode(CONTRACT, empty).matrix.shape == (0, 4)
    assert np.isnan(encode(CONTRACT, {name: [None, None] for name in COLUMNS}).matrix).all()
