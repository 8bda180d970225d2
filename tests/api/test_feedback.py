"""The feedback log and snapshots over HTTP, from the client and the command line."""

import io
import json
import logging
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.client.feedback import arrow_of, json_of
from mlreg.client.transport import Call
from mlreg.controller.api import feedback, snapshots
from tests.feedback_makers import NOW, START, labels, make_model, predictions

PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def extra_routers():
    return (feedback.router, snapshots.router)


@pytest.fixture(autouse=True)
def model(database):
    return make_model(database)


def run_cli(api, tmp_path, *words):
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLREG_")},
        "MLREG_URL": api.url,
        "MLREG_TOKEN": api.token,
        "MLREG_CONFIG_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "mlreg.cli", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def encoded(rows, form):
    buffer = io.BytesIO()
    if form == PARQUET:
        parquet.write_table(rows, buffer)
    elif form == "text/csv":
        csv.write_csv(rows, buffer)
    elif form == "application/x-ndjson":
        lines = [json.dumps(row, default=lambda v: v.isoformat()) for row in rows.to_pylist()]
        buffer.write("\n".join(lines).encode())
    elif form == ARROW:
        return arrow_of(rows)
    else:
        return json_of(rows.to_pylist())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "form", [ARROW, PARQUET, "text/csv", "application/x-ndjson", "application/json"]
)
def test_every_form_holds_the_same_rows(client, tmp_path, form):
    rows = predictions(0, 40)
    answer = client.log.send("flights", "predictions", encoded(rows, form), form, "a")
    assert (answer.batch_id, answer.rows, answer.duplicate) == ("a", 40, False)
    snapshot = client.snapshots.create("flights", START, NOW)
    client.snapshots.export(snapshot.digest, tmp_path / "rows.parquet")
    found = parquet.read_table(tmp_path / "rows.parquet")
    for name in ("prediction_id", "time", "score", "temp", "hour", "carrier", "rain"):
        assert found[name].to_pylist() == rows[name].to_pylist()


def test_a_batch_is_kept_once(client):
    rows = predictions(0, 10)
    first = client.log.predictions("flights", rows)
    again = client.log.predictions("flights", rows)
    assert first.batch_id.startswith("sha256:")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.batch_id == first.batch_id
    client.log.predictions("flights", rows, "mine")
    with pytest.raises(RefusedError) as refused:
        client.log.predictions("flights", predictions(10, 10), "mine")
    assert (refused.value.code, refused.value.status) == ("batch_conflict", 409)


def test_rows_may_be_mappings_columns_or_frames(client):
    rows = predictions(0, 3)
    nested = [
        {
            **{name: row[name] for name in ("prediction_id", "time", "score")},
            "features": {name: row[name] for name in ("temp", "hour", "carrier", "rain")},
        }
        for row in rows.to_pylist()
    ]
    assert client.log.predictions("flights", nested, "a").rows == 3
    assert client.log.predictions("flights", rows.to_pydict(), "b").rows == 3
    assert client.log.labels("flights", labels(rows).to_pylist(), "a").rows == 3
    body = json_of(nested)
    assert client.log.send("flights", "predictions", body, "application/json", "c").rows == 3


def without(name):
    return lambda rows: rows.drop_columns([name])


def with_column(name, values):
    def change(rows):
        column = pa.array(values(rows) if callable(values) else [values] * rows.num_rows)
        if name in rows.column_names:
            return rows.set_column(rows.column_names.index(name), name, column)
        return rows.append_column(name, column)

    return change


BAD_PREDICTIONS = {
    "missing": (without("temp"), "column 'temp': it is missing"),
    "unknown": (with_column("colour", "red"), "column 'colour': not a column"),
    "type": (with_column("temp", "warm"), "column 'temp', row 1: 'warm' is not a number"),
    "fraction": (with_column("hour", 1.5), "column 'hour', row 1: 1.5 is not a whole number"),
    "bool": (with_column("rain", 1), "column 'rain': it is int64"),
    "infinite": (with_column("temp", float("inf")), "column 'temp', row 1: inf is infinite"),
    "score": (with_column("score", -0.1), "column 'score', row 1: -0.1 is not a probability"),
    "version": (with_column("version", 7), "column 'version', row 1: 7 is not a version"),
    "null id": (
        with_column("prediction_id", lambda rows: [*rows["prediction_id"].to_pylist()[:-1], None]),
        "column 'prediction_id', row 10: it is missing",
    ),
    "naive": (with_column("time", "2013-06-01T00:00:00"), "is not a time with its zone"),
    "future": (with_column("time", "2999-01-01T00:00:00Z"), "lies in the future"),
    "empty": (lambda rows: rows.slice(0, 0), "0 rows; a batch has 1 to"),
}


@pytest.mark.parametrize("case", BAD_PREDICTIONS)
def test_wrong_predictions_are_named(client, case):
    change, message = BAD_PREDICTIONS[case]
    with pytest.raises(InvalidError) as wrong:
        client.log.predictions("flights", change(predictions(0, 10)), "a")
    assert message in str(wrong.value)
    assert (wrong.value.code, wrong.value.status) == ("invalid_rows", 422)
    assert client.log.predictions("flights", predictions(0, 10), "a").duplicate is False


@pytest.mark.parametrize("value", [None, float("nan"), 2.0, 0.5, float("inf")])
def test_wrong_labels_are_named(client, value):
    rows = labels(predictions(0, 3))
    bad = with_column("label", lambda _rows: [1.0, value, 0.0])(rows)
    with pytest.raises(InvalidError, match=r"column 'label', row 2"):
        client.log.labels("flights", bad)


@pytest.mark.parametrize(
    ("body", "form", "code"),
    [
        (b"", ARROW, "unreadable_body"),
        (b"junk", PARQUET, "unreadable_body"),
        (b'{"rows": 3}', "application/json", "unreadable_body"),
        (b'{"rows": [{"time": NaN}]}', "application/json", "invalid_json"),
        (b"a,b\n1\n", "text/csv", "unreadable_body"),
        (b"<a/>", "application/octet-stream", "unsupported_media_type"),
        (b"<a/>", "text/html", "unsupported_media_type"),
    ],
)
def test_wrong_bytes_are_named(client, body, form, code):
    with pytest.raises(InvalidError) as wrong:
        client.log.send("flights", "predictions", body, form)
    assert wrong.value.code == code


def test_a_compressed_stream_is_refused(client):
    sink = io.BytesIO()
    rows = predictions(0, 5)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, rows.schema, options=options) as stream:
        stream.write_table(rows)
    with pytest.raises(InvalidError, match="compressed"):
        client.log.send("flights", "predictions", sink.getvalue(), ARROW)


def test_unknown_model_and_wrong_batch_id(client):
    with pytest.raises(NotFoundError):
        client.log.predictions("trains", predictions(0, 1))
    with pytest.raises(InvalidError) as wrong:
        client.log.predictions("flights", predictions(0, 1), "a b")
    assert wrong.value.code == "invalid_batch_id"


def test_snapshots(client):
    rows = predictions(0, 30)
    client.log.predictions("flights", rows)
    client.log.labels("flights", labels(rows))
    hour = timedelta(hours=1)
    made = client.snapshots.create(
        "flights",
        START,
        NOW,
        exclude=[(START - hour, START + hour), (START + hour, START + 2 * hour)],
    )
    assert (len(made.predictions), len(made.labels)) == (1, 1)
    assert [(i.start, i.end) for i in made.excluded] == [(START, START + 2 * hour)]
    assert client.snapshots.get(made.digest).digest == made.digest
    assert [item.digest for item in client.snapshots.list("flights").items] == [made.digest]
    with pytest.raises(InvalidError, match="before it begins"):
        client.snapshots.create("flights", NOW, START)
    with pytest.raises(NotFoundError):
        client.snapshots.get("sha256:" + "0" * 64)


def test_snapshots_are_listed_page_by_page(client):
    """Those that were made at the same moment as well, each once."""
    client.log.predictions("flights", predictions(0, 30))
    made = {
        client.snapshots.create("flights", START, NOW - timedelta(hours=n)).digest for n in range(3)
    }
    found, before = [], None
    for _ in made:
        page = client.snapshots.list("flights", before=before, limit=1)
        found, before = [*found, *page.items], page.next
    assert before is None
    assert found == client.snapshots.list("flights").items
    assert {one.digest for one in found} == made
    with pytest.raises(NotFoundError):
        client.snapshots.list("flights", before="sha256:" + "0" * 64)


def test_the_schema_of_batches_is_documented(client):
    reply = client.transport.send(Call("GET", "/api/v1/openapi.json"))
    paths = json.loads(reply.body)["paths"]
    content = paths["/api/v1/models/{model}/predictions"]["post"]["requestBody"]["content"]
    assert set(content) >= {"application/json", ARROW, PARQUET, "text/csv"}
    row = content["application/json"]["schema"]["properties"]["rows"]["items"]
    assert "prediction_id" in row["properties"]


def test_the_command_line(api, tmp_path):
    rows = predictions(0, 20)
    csv.write_csv(rows, tmp_path / "rows.csv")
    parquet.write_table(labels(rows), tmp_path / "labels.parquet")
    kept = run_cli(api, tmp_path, "log", "predictions", "flights", tmp_path / "rows.csv")
    assert kept.stdout.startswith("20 predictions were kept (batch sha256:"), kept.stderr
    again = run_cli(api, tmp_path, "log", "predictions", "flights", tmp_path / "rows.csv", "--json")
    assert json.loads(again.stdout)["duplicate"] is True
    run_cli(api, tmp_path, "log", "labels", "flights", tmp_path / "labels.parquet")
    words = ["--start", "2013-06-01", "--end", "2013-07-01", "--json"]
    made = json.loads(run_cli(api, tmp_path, "snapshot", "create", "flights", *words).stdout)
    out = tmp_path / "out.csv"
    assert run_cli(api, tmp_path, "snapshot", "export", made["digest"], out).returncode == 0
    assert csv.read_csv(out).num_rows == 20
    shown = run_cli(api, tmp_path, "snapshot", "show", made["digest"])
    assert made["digest"] in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("log", "predictions", "flights", "no.csv"), 3, "no.csv: No such file"),
        (("log", "predictions", "flights", "rows.txt"), 2, "rows are not read from files"),
        (("log", "predictions", "trains", "bad.csv"), 3, "no model 'trains'"),
        (("log", "predictions", "flights", "bad.csv"), 2, "column 'colour'"),
        (("snapshot", "show", "sha256:" + "0" * 64), 3, "no snapshot"),
        (("snapshot", "export", "sha256:" + "0" * 64, "rows.txt"), 2, "not written to files"),
        (("snapshot", "create", "flights", "--start", "2013-06-02", "--end", "2013-06-01"), 2, "b"),
    ],
)
def test_the_command_line_says_what_is_wrong(api, tmp_path, words, code, said):
    (tmp_path / "bad.csv").write_text("prediction_id,colour\n1,red\n")
    paths = [str(tmp_path / word) if word.endswith((".csv", ".txt")) else word for word in words]
    done = run_cli(api, tmp_path, *paths)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_who_hangs_up_is_no_error_of_ours(api, client, caplog):
    caplog.set_level(logging.INFO)
    address = urlsplit(api.url)
    head = (
        f"POST /api/v1/models/flights/predictions HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {api.token}\r\nContent-Length: 1000\r\n"
        "Content-Type: application/vnd.apache.arrow.stream\r\n\r\nhalf"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode())
        time.sleep(0.2)
    for _ in range(5):
        client.models.list()  # by the last of them the server has seen the end
        time.sleep(0.05)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
