"""A full retrain learns the categories that came since; nothing else changes a contract."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.domain.bins import make_bins
from mlreg.controller.trainers.rows import LEAST_SEEN, learn_categories
from mlreg.registry.domain.contracts import Feature, FeatureContract, FeatureSchema

OPEN = FeatureSchema((Feature("temp", "float"), Feature("carrier", "category")))
KNOWN = FeatureContract(
    (Feature("temp", "float"), Feature("carrier", "category", categories=("UA", "AA")))
)


def rows(**carriers):
    names = [name for name, count in carriers.items() for _ in range(count)]
    return pa.table({"temp": np.zeros(len(names) + 1), "carrier": [*names, None]})


def test_new_values_stand_behind_the_known_ones_whose_codes_stay():
    learnt = learn_categories(KNOWN, OPEN, rows(ZZ=30, B6=LEAST_SEEN, AA=5, DL=LEAST_SEEN - 1))
    assert learnt["carrier"].categories == ("UA", "AA", "B6", "ZZ")
    assert learnt["temp"] == KNOWN["temp"]


@pytest.mark.parametrize("values", [{"AA": 100}, {"AA": 9, "DL": LEAST_SEEN - 1}, {}])
def test_what_is_known_or_rare_makes_no_other_contract(values):
    assert learn_categories(KNOWN, OPEN, rows(**values)).digest == KNOWN.digest


def test_what_the_model_declares_stays_as_it_declares_it():
    closed = FeatureSchema(KNOWN.features)
    assert learn_categories(KNOWN, closed, rows(DL=100)) == KNOWN


def test_where_an_unknown_value_is_an_error_it_stays_one():
    strict = Feature("carrier", "category", categories=("UA",), unseen="error")
    contract = FeatureContract((Feature("temp", "float"), strict))
    assert learn_categories(contract, OPEN, rows(DL=100)) == contract


def test_numbers_in_a_category_are_left_to_who_encodes_them():
    numbers = pa.table({"temp": [0.0], "carrier": [7]})
    assert learn_categories(KNOWN, OPEN, numbers) == KNOWN


def test_bins_fit_a_contract_with_the_same_categories_only():
    columns = {"temp": np.arange(9.0), "carrier": np.zeros(9, dtype=np.int32)}
    bins = make_bins(columns, KNOWN)
    assert bins.fit(KNOWN)
    assert not bins.fit(learn_categories(KNOWN, OPEN, rows(DL=100)))
