"""Samples of logged rows: the same rows as the whole selection has, chosen by their ids alone."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.sampling import hash_ids
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.logged_rows import read_rows, sample_rows, select_rows
from tests.feedback_makers import NOW, START, labels, make_model, make_store, predictions


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "artifacts")


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def body(database, store, model):
    """Return a selection of three segments with repeated predictions, and labels of some."""
    rows = predictions(0, 900)
    parts = [rows.slice(0, 400), rows.slice(300, 300), rows.slice(600, 300)]
    for number, part in enumerate(parts):
        with database.writing() as session:
            accept(session, model, "predictions", f"p{number}", part, now=NOW)
            accept(session, model, "labels", f"l{number}", labels(part.slice(0, 100)), now=NOW)
        drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        return select_rows(session, model, Interval(START, START + timedelta(days=6)), NOW)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_sample_is_a_part_of_the_whole_with_its_labels(store, body, limit):
    whole = read_rows(store, body)
    sample = sample_rows(store, body, limit, 3)
    ids = set(sample["prediction_id"].to_pylist())
    assert sample.num_rows == len(ids) == limit
    chosen = pa.array([name in ids for name in whole["prediction_id"].to_pylist()])
    assert sample.equals(whole.filter(chosen))


def test_a_larger_sample_has_the_smaller_one_and_another_seed_has_others(store, body):
    def ids(limit, seed):
        return set(sample_rows(store, body, limit, seed, ["prediction_id"])[0].to_pylist())

    assert ids(50, 1) < ids(80, 1)
    assert ids(50, 1) == ids(50, 1)
    assert ids(50, 1) != ids(50, 2)


def test_a_limit_above_all_rows_takes_them_all(store, body):
    columns = ["temp", "label", "score"]
    assert sample_rows(store, body, 10_000, 0, columns).equals(read_rows(store, body, columns))


def test_nothing_logged_gives_none(database, store, model, body):
    del body
    with database.reading() as session:
        span = Interval(START - timedelta(days=3), START - timedelta(days=2))
        assert sample_rows(store, select_rows(session, model, span, NOW), 10, 0) is None


def test_hashes_of_ids_that_count_up_are_uniform_and_all_different():
    ids = pa.chunked_array([[f"flight-{n:09d}" for n in range(200_000)], ["", "a", "á"]])
    for seed in range(3):
        hashes = hash_ids(ids, seed)
        assert len(np.unique(hashes)) == len(hashes)
        shares = hashes.astype(float) / 2.0**64
        assert stats.kstest(shares, "uniform").pvalue > 1e-4
        neighbours = np.corrcoef(shares[:-1], shares[1:])[0, 1]
        assert abs(neighbours) < 5 / np.sqrt(len(shares))
