"""Reading bodies that were made to break, or to blow up, the reader."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlreg.client.errors import InvalidError
from mlreg.client.feedback import arrow_of, content_type_of, json_of
from mlreg.controller.domain.batches import (
    InvalidRowsError,
    UnknownContentTypeError,
    UnreadableBodyError,
)
from mlreg.controller.feedback.bodies import ARROW, CSV, JSON, JSON_LINES, PARQUET, read_rows
from mlreg.controller.feedback.casting import cast_column
from mlreg.controller.feedback.rows import RowRules, checked_rows
from mlreg.controller.feedback.schemas import CLASS_SCORES, LABELS, NUMBERS, PREDICTIONS
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


@pytest.mark.parametrize("cell", ['"[0.1, 0.9]"', "0.1;0.9", "0.5", ""])
def test_scores_in_csv_are_refused_with_the_forms_that_have_lists(cell):
    rules = RowRules(pa.schema([*PREDICTIONS, CLASS_SCORES]), NOW, "multiclass", 2, 0, {})
    body = f"prediction_id,time,scores\na,2013-07-01T00:00:00Z,{cell}\n".encode()
    with pytest.raises(InvalidRowsError, match=r"'scores': .* send Arrow, Parquet or JSON"):
        checked_rows(read_rows(body, CSV, rules.schema).table, rules)


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


def checked_json(rows, schema=LABELS, task="multiclass"):
    read = read_rows(json.dumps({"rows": rows}).encode(), JSON, schema)
    classes = 3 if task == "multiclass" else 0
    return checked_rows(read.table, RowRules(schema, NOW, task, classes, 0, {}))


LABEL = {"prediction_id": "a", "time": "2013-06-01T00:00:00Z", "label": 1, "weight": 0.5}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": True}, "column 'weight', row 3: True is of another type than the other rows"),
        ({"weight": "1"}, "column 'weight', row 3: '1' is of another type than the rows before"),
        ({"time": None}, "column 'time', row 3: it is missing"),
        ({"label": ...}, "column 'label', row 3: it is missing"),
    ],
)
def test_a_row_of_json_is_judged_as_if_it_were_alone(change, said):
    row = {name: value for name, value in {**LABEL, **change}.items() if value is not ...}
    for rows in ([LABEL, LABEL, row], [LABEL, LABEL, row, LABEL]):
        with pytest.raises(InvalidRowsError, match=said):
            checked_json(rows)


def test_a_row_may_lack_what_is_optional_and_no_row_may_lack_all():
    rows = [LABEL, {name: LABEL[name] for name in ("prediction_id", "time", "label")}]
    assert checked_json(rows)["weight"].to_pylist() == [0.5, None]
    with pytest.raises(InvalidRowsError, match="column 'prediction_id', row 1: it is missing"):
        checked_json([{}])


def test_true_is_no_score_of_a_class():
    schema = pa.schema([*PREDICTIONS, CLASS_SCORES])
    row = {"prediction_id": "a", "time": LABEL["time"], "scores": [0.1, 0.2, 0.7]}
    with pytest.raises(InvalidRowsError, match="column 'scores', row 2"):
        checked_json([row, {**row, "scores": [0.1, True, 0.2]}], schema)


def test_zeros_are_no_chances_of_classes():
    schema = pa.schema([*PREDICTIONS, CLASS_SCORES])
    row = {"prediction_id": "a", "time": LABEL["time"]}
    taken = [{**row, "scores": None}, {**row, "scores": [0.9, 0.9, 0.1]}]
    assert checked_json(taken, schema).num_rows == 2
    with pytest.raises(InvalidRowsError, match="'scores', row 3: gives no class a chance"):
        checked_json([*taken, {**row, "scores": [0.0, 0.0, 0.0]}], schema)


def test_labels_of_a_ranking_are_grades():
    assert checked_json([{**LABEL, "label": 30.0}], task="ranking").num_rows == 1
    for wrong in (0.5, -1.0, 31.0):
        with pytest.raises(InvalidRowsError, match="is not a grade; labels are whole, 0 to 30"):
            checked_json([{**LABEL, "label": wrong}], task="ranking")


def test_a_stream_that_was_cut_or_glued_is_refused():
    halves = [ROWS.slice(0, 10), ROWS.slice(10)]
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, ROWS.schema) as stream:
        for half in halves:
            stream.write_table(half)
    whole = sink.getvalue()
    assert read_rows(whole, ARROW, LABELS).table.num_rows == 30
    with pytest.raises(UnreadableBodyError, match="no end"):
        read_rows(whole[:-8], ARROW, LABELS)
    for more in (STREAM, b"\0"):
        with pytest.raises(UnreadableBodyError, match="bytes follow its end"):
            read_rows(whole + more, ARROW, LABELS)


def replaced(name, column):
    table = ROWS.slice(0, 1).take(pa.array(np.zeros(len(column), np.int64)))
    return table.set_column(table.column_names.index(name), name, column)


def test_what_a_dictionary_or_a_list_stands_for_is_bounded():
    places = pa.array(np.zeros(300_000, np.int8))
    bomb = replaced("prediction_id", pa.DictionaryArray.from_arrays(places, ["x" * 1_024]))
    assert len(streamed(bomb)) < 20 * 2**20
    with pytest.raises(InvalidRowsError, match="values take 292 MiB, 256 is the most"):
        checked_rows(read_rows(streamed(bomb), ARROW, LABELS).table, RULES)
    for nulls in (
        pa.FixedSizeListArray.from_arrays(pa.nulls(2**27), 2**27),
        pa.ListArray.from_arrays(pa.array([0, 2**27], pa.int32()), pa.nulls(2**27)),
    ):
        with pytest.raises(InvalidRowsError, match="values take 1,024 MiB"):
            cast_column("scores", pa.chunked_array([nulls]), NUMBERS)


def test_a_dictionary_of_what_is_not_taken_is_refused():
    views = pa.DictionaryArray.from_arrays([0], pa.array(["a"], pa.string_view()))
    with pytest.raises(InvalidRowsError, match="where text is needed"):
        checked_rows(replaced("prediction_id", views), RULES)


@pytest.mark.parametrize("letter", ["\0", "\x1b", "\x7f", "\x85", "\u202e", "\u200f", "\u061c"])
def test_letters_that_nobody_sees_are_refused_in_every_form(letter):
    table = replaced("prediction_id", pa.array(["é😀\t\n", f"a{letter}b"]))
    with pytest.raises(InvalidRowsError, match=r"row 2: .* has control or bidirectional"):
        checked_rows(table, RULES)
    assert checked_rows(table.slice(0, 1), RULES).num_rows == 1


def test_a_number_that_is_too_large_is_not_called_no_number():
    for value, kind in ((2**53 + 1, pa.float64()), (2**40, pa.int32()), (1e300, pa.int64())):
        with pytest.raises(InvalidRowsError, match=r"row 1: .* is too large to be kept exactly"):
            cast_column("x", pa.chunked_array([[value]]), kind)
    with pytest.raises(InvalidRowsError, match=r"1\.5 is not a whole number"):
        cast_column("x", pa.chunked_array([[1.5]]), pa.int64())


def test_the_client_takes_every_column_of_every_row():
    rows = [{"a": 1}, {"a": 2, "entity": "x", "features": {"b": 3.0}}]
    with pytest.raises(InvalidError, match="column 'b', row 1: it is missing"):
        arrow_of(rows)
    rows[0]["b"] = None
    assert pa.ipc.open_stream(arrow_of(rows)).read_all().to_pylist() == [
        {"a": 1, "b": None, "entity": None},
        {"a": 2, "b": 3.0, "entity": "x"},
    ]
    with pytest.raises(InvalidError, match="column 'a', row 2: true or false stands beside"):
        arrow_of([{"a": 1.5}, {"a": True}])


def test_labels_that_are_names_of_classes_are_refused_with_what_is_wanted():
    named = ROWS.set_column(
        ROWS.column_names.index("label"), "label", pa.array(["late"] * ROWS.num_rows)
    )
    with pytest.raises(InvalidRowsError, match="labels are the places of the classes, 0 to 1"):
        checked_rows(named, RULES)


def test_a_long_name_is_shown_in_short():
    table = pa.table({"x" * 100_000: [1]})
    with pytest.raises(InvalidRowsError) as refused:
        checked_rows(table, RULES)
    assert len(str(refused.value)) < 300
