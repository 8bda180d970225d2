"""The parts of a training that need no server: digests of tables, row counts, features, memory."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.errors import InvalidError
from mlreg.client.training.features import contract_of
from mlreg.client.training.footprint import Footprint
from mlreg.client.training.records import Records, json_of, rows_of_search
from mlreg.client.training.sources import Sources, count_rows
from mlreg.client.training.tables import digest_of_table
from tests.faults.workers import PATIENCE_SECONDS

COLUMNS = {
    "n": [1, 2, None, 4],
    "x": [0.5, float("nan"), None, -1.0],
    "c": ["a", None, "bé", ""],
    "b": [True, False, None, True],
}


def test_one_content_has_one_digest_in_every_library_and_in_any_pieces():
    whole = pa.table(COLUMNS)
    pieces = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2), whole.slice(3)])
    coded = whole.set_column(2, "c", whole["c"].dictionary_encode())
    narrow = whole.set_column(0, "n", whole["n"].cast(pa.int16()))
    framed = pd.DataFrame({name: pd.Series(values) for name, values in COLUMNS.items()})
    framed["n"] = framed["n"].astype("Int64")
    framed.index = [9, 8, 7, 6]
    wanted = digest_of_table(whole)
    assert wanted[1] == 4
    for other in (pieces, coded, narrow, framed, whole.slice(0)):
        assert digest_of_table(other) == wanted


def test_times_and_other_kinds_have_digests():
    times = pd.date_range("2026-01-01", periods=3, tz="UTC")
    table = pa.table({"t": times, "l": [[1], None, [2, 3]]})
    assert digest_of_table(table) == digest_of_table(
        pa.table({"t": times, "l": [[1], None, [2, 3]]})
    )
    naive = pa.table({"t": times.tz_localize(None), "l": [[1], None, [2, 3]]})
    assert digest_of_table(naive) != digest_of_table(table)
    assert digest_of_table(pa.table({"e": pa.array([], pa.string())}))[1] == 0


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_any_change_of_a_value_changes_the_digest(values, place):
    column = pa.array(values, pa.string())
    changed = [*values]
    changed[place % len(values)] = (changed[place % len(values)] or "") + "x"
    before, after = pa.table({"c": column}), pa.table({"c": pa.array(changed, pa.string())})
    assert digest_of_table(before) != digest_of_table(after)
    assert digest_of_table(before) == digest_of_table(before.filter(pa.array([True] * len(values))))


def test_borders_between_texts_count():
    assert digest_of_table(pa.table({"c": ["ab", "c"]})) != digest_of_table(
        pa.table({"c": ["a", "bc"]})
    )


def test_rows_are_counted_where_the_name_says_how(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n1,"two\nlines"\n\n2,b\n')
    (tmp_path / "b.jsonl").write_text("{}\n\n{}\n{}")
    pq.write_table(pa.table(COLUMNS), tmp_path / "c.parquet")
    (tmp_path / "d.bin").write_bytes(b"1\n2\n")
    (tmp_path / "e.parquet").write_bytes(b"none")
    counted = [count_rows(tmp_path / name) for name in ("a.csv", "b.jsonl", "c.parquet")]
    assert counted == [2, 3, 4]
    assert count_rows(tmp_path / "d.bin") is None
    assert count_rows(tmp_path / "e.parquet") is None


def test_data_is_given_in_many_ways(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.csv").write_text("x\n1\n")
    (tmp_path / "rows" / "b.csv").write_text("x\n1\n2\n")
    digest = "sha256:" + "1" * 64
    found = Sources({"train": tmp_path / "rows", "more": pa.table({"x": [1]}), "log": digest}).forms
    assert [(one.name, one.kind, one.rows) for one in found] == [
        ("train/a.csv", "file", 1),
        ("train/b.csv", "file", 2),
        ("more", "table", 1),
        ("log", "snapshot", None),
    ]
    assert [one.name for one in Sources([digest, tmp_path / "rows" / "a.csv"]).forms] == [
        "snapshot",
        "a.csv",
    ]
    with pytest.raises(InvalidError, match="data of type int"):
        Sources(3)


def test_features_are_closed_by_the_data():
    table = pa.table({"n": [1], "x": [0.5], "b": [True], "c": ["z"]})
    found = contract_of(["x", "n", "b", "c"], None, [table])
    assert [(one.name, one.dtype, one.categories) for one in found] == [
        ("x", "float", None),
        ("n", "int", None),
        ("b", "bool", None),
        ("c", "category", ["z"]),
    ]
    assert [one.name for one in contract_of(table, None, [])] == ["n", "x", "b", "c"]
    with pytest.raises(InvalidError, match="nothing says its categories"):
        contract_of([{"name": "c", "dtype": "category"}], None, [])
    with pytest.raises(InvalidError, match="unknown"):
        contract_of([{"name": "c", "dtype": "float", "unknown": 1}], None, [])


def test_features_are_read_from_a_document(tmp_path):
    (tmp_path / "f.yaml").write_text("- {name: x, dtype: float}\n")
    (tmp_path / "f.json").write_text('{"features": [{"name": "x", "dtype": "float"}]}')
    for name in ("f.yaml", "f.json"):
        assert [one.name for one in contract_of(tmp_path / name, None, [])] == ["x"]


def test_searches_come_in_many_shapes():
    class Trial:
        def __init__(self, value, **params):
            self.value, self.params = value, params

    class Study:
        trials = (Trial(0.5, a=1), Trial(0.6, a=2))

    class Grid:
        def __init__(self):
            columns = {"param_a": np.array([1, 2]), "mean": np.array([0.5, 0.6])}
            self.cv_results_ = {"params": [{}, {}], **columns}

    assert rows_of_search(Study()) == [{"a": 1, "value": 0.5}, {"a": 2, "value": 0.6}]
    assert rows_of_search(Grid()) == [{"param_a": 1, "mean": 0.5}, {"param_a": 2, "mean": 0.6}]
    with pytest.raises(InvalidError):
        rows_of_search(3)


def test_what_is_not_finite_is_a_gap_and_no_metric(tmp_path):
    records = Records()
    records.add_metric("loss", 0.5, 1)
    records.add_metric("loss", math.inf, 2)
    records.add_curve("auc", [0.6, math.nan], [1, 3])
    records.write(tmp_path)
    assert (tmp_path / "curves.csv").read_text() == "step,loss,auc\n1,0.5,0.6\n2,,\n3,,\n"
    assert records.metrics == {"loss": 0.5}


def test_values_become_json():
    assert json_of({"a": np.int64(3), "b": (1, np.array([1.5])), "c": math.nan, "d": 2**60}) == {
        "a": 3,
        "b": [1, [1.5]],
        "c": "nan",
        "d": str(2**60),
    }


def test_the_footprint_sees_a_short_peak_and_a_child():
    footprint = Footprint()
    footprint.start()
    before = footprint.peak_bytes
    ballast = bytearray(64 * 2**20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    del ballast
    script = (
        "import time; b = bytearray(96 * 2**20); b[::4096] = b'x' * len(b[::4096]); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while footprint.peak_bytes < before + 90 * 2**20 and time.monotonic() < deadline:
            time.sleep(0.02)
        child.terminate()
    footprint.stop()
    footprint.stop()
    assert footprint.peak_bytes > before + 90 * 2**20
    assert footprint.seconds > 0
