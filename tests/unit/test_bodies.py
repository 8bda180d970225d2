"""Reading bodies that were made to break, or to blow up, the reader."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlreg.client.feedback import arrow_of, content_type_of, json_of
from mlreg.controller.domain.batches import (
    InvalidRowsError,
    UnknownContentTypeError,
    UnreadableBodyError,
)
from mlreg.controller.feedback.bodies import ARROW, CSV, JSON, JSON_LINES, PARQUET, read_rows
from mlreg.controller.feedback.rows import RowRules, checked_rows
from mlreg.controller.feedback.schemas import LABELS
from tests.feedback_makers import NOW, labels, predictions

ROWS = labels(predictions(0, 30))
STREAM = arrow_of(ROWS)
RULES = RowRules(LABELS, NOW, "binary", 2, 0, {})


def streamed(table, **options):
    sink = io.BytesIO()
    chosen = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, table.schema, options=chosen) as stream:
        stream.write_table(table)
    return sink.getvalue()


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, 255)), min_size=1, max_size=6
    )
)
def test_a_changed_stream_is_read_or_refused(changes):
    body = bytearray(STREAM)
    for place, value in changes:
        body[place] = value
    try:
        checked = checked_rows(read_rows(bytes(body), ARROW, LABELS).table, RULES)
    except (UnreadableBodyError, InvalidRowsError):
        return
    assert checked.schema == LABELS


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body):
    for kind in (ARROW, JSON):
        with pytest.raises((UnreadableBodyError, InvalidRowsError)):
            checked_rows(read_rows(body, kind, LABELS).table, RULES)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_buffers_are_seen_in_batches_and_dictionaries(codec):
    coded = pa.table({"label": pa.array(["a"] * 500).dictionary_encode()})
    for table in (ROWS, coded):
        with pytest.raises(UnreadableBodyError, match="compressed"):
            read_rows(streamed(table, compression=codec), ARROW, LABELS)
        assert read_rows(streamed(table), ARROW, LABELS).table.num_rows == table.num_rows


def test_rows_without_bytes_are_counted():
    endless = pa.table({"label": pa.nulls(2_000_000)})
    with pytest.raises(UnreadableBodyError, match="2,000,000 rows"):
        read_rows(streamed(endless), ARROW, LABELS)


def test_a_parquet_bomb_is_refused():
    sink = io.BytesIO()
    bomb = pa.table({f"c{n}": pa.array(np.zeros(900_000)) for n in range(80)})
    parquet.write_table(bomb, sink, compression="zstd", use_dictionary=False)
    assert len(sink.getvalue()) < 1_000_000
    with pytest.raises(UnreadableBodyError, match="bytes of values"):
        read_rows(sink.getvalue(), PARQUET, LABELS)


def test_a_file_that_takes_too_much_memory_kills_its_reader_only():
    sink = io.BytesIO()
    places = pa.array(np.zeros(4_000, dtype=np.int32))
    text = pa.DictionaryArray.from_arrays(places, pa.array(["x" * 1_000_000]))
    parquet.write_table(pa.table({"c": text}), sink, store_schema=False)
    assert len(sink.getvalue()) < 2_000_000
    with pytest.raises(UnreadableBodyError):
        read_rows(sink.getvalue(), PARQUET, LABELS)


def test_the_same_rows_in_every_form():
    documents = [json.dumps(row, default=lambda v: v.isoformat()) for row in ROWS.to_pylist()]
    csv_lines = ["prediction_id,time,label"]
    csv_lines += [
        f"{row['prediction_id']},{row['time'].isoformat()},{row['label']}"
        for row in ROWS.to_pylist()
    ]
    sink = io.BytesIO()
    parquet.write_table(ROWS, sink)
    forms = {
        ARROW: STREAM,
        PARQUET: sink.getvalue(),
        JSON: json_of(ROWS.to_pylist()),
        JSON_LINES: "\n".join(documents).encode(),
        CSV: "\n".join(csv_lines).encode(),
    }
    read = [
        checked_rows(read_rows(body, kind, LABELS).table, RULES) for kind, body in forms.items()
    ]
    assert all(table.equals(read[0]) for table in read)


def test_dictionaries_large_texts_and_other_units_are_taken():
    table = pa.table(
        {
            "prediction_id": ROWS["prediction_id"].cast(pa.large_string()).dictionary_encode(),
            "time": ROWS["time"].cast(pa.timestamp("ns", tz="Europe/Berlin")),
            "label": ROWS["label"].cast(pa.int8()),
        }
    )
    checked = checked_rows(read_rows(streamed(table), ARROW, LABELS).table, RULES)
    assert checked["time"].to_pylist() == ROWS["time"].to_pylist()
    assert checked["label"].to_pylist() == ROWS["label"].to_pylist()


@pytest.mark.parametrize("unit", ["s", "us"])
def test_a_time_beyond_all_calendars_is_named(unit):
    times = pa.array([2**62] * ROWS.num_rows, pa.int64()).cast(pa.timestamp(unit, tz="UTC"))
    table = ROWS.set_column(1, "time", times)
    with pytest.raises(InvalidRowsError, match="column 'time', row 1: the time 46116860"):
        checked_rows(read_rows(streamed(table), ARROW, LABELS).table, RULES)


def test_what_is_no_form_of_rows():
    with pytest.raises(UnknownContentTypeError):
        read_rows(b"", "text/html", LABELS)
    assert content_type_of("a/b.PARQUET") == PARQUET
