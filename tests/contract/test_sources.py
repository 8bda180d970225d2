"""One suite for every source: the same rows, wherever they lie, are frozen and read the same."""

import itertools
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from mlreg.controller.domain.connections import SourceNotAllowedError
from mlreg.controller.domain.sources import FrozenSource
from mlreg.controller.domain.windows import Interval
from mlreg.controller.sources.delta import storage_options
from mlreg.controller.sources.errors import InvalidSourceRowsError
from mlreg.registry.artifacts.opening import open_store
from tests.source_makers import (
    COLUMNS,
    DAY,
    START,
    WEEK,
    Bench,
    bucket_of,
    connections_of,
    fill_table,
    put_days,
    raw_rows,
    write_days,
)

NUMBERS = itertools.count(1)
ORDER = [("time", "ascending")]


@dataclass
class Place:
    """Where one kind of source has its rows, and how it is named."""

    name: str
    connections: dict
    add: object
    """Adds the rows of one more day."""


def parquet_folder(_request, folder):
    write_days(folder / "days")
    return Place(
        f"{folder}/days/*.parquet",
        {"lake": {"kind": "folder", "path": str(folder)}},
        lambda rows: write_table(folder / "days" / "more.parquet", rows),
    )


def write_table(path, rows):
    import pyarrow.parquet as pq

    pq.write_table(rows, path)


def parquet_bucket(request, _folder, *, server):
    server = request.getfixturevalue(server)
    prefix = f"source-{next(NUMBERS)}"
    put_days(server, prefix)

    def add(rows):
        from tests.source_makers import parquet_bytes

        client = server.client()
        client.put_object(Bucket="mlreg", Key=f"{prefix}/more.parquet", Body=parquet_bytes(rows))
        client.close()

    return Place(f"s3://mlreg/{prefix}", {"lake": bucket_of(server)}, add)


def delta_folder(_request, folder):
    table = str(folder / "table")
    write_deltalake(table, days())
    return Place(
        f"delta:{table}",
        {"lake": {"kind": "folder", "path": str(folder)}},
        lambda rows: write_deltalake(table, rows, mode="append"),
    )


def delta_bucket(request, _folder):
    server = request.getfixturevalue("moto")
    lake = bucket_of(server)
    url = f"s3://mlreg/table-{next(NUMBERS)}"
    options = storage_options(connections_of(lake=lake).by_name["lake"])
    write_deltalake(url, days(), storage_options=options)
    return Place(
        f"delta:{url}",
        {"lake": lake},
        lambda rows: write_deltalake(url, rows, mode="append", storage_options=options),
    )


def days():
    return pa.concat_tables([raw_rows(START + day * DAY) for day in range(7)])


def query(request, _folder):
    postgres = request.getfixturevalue("postgres")
    url = postgres.url(request.getfixturevalue("own_database")).replace("+psycopg", "")
    fill_table(url, days())

    def add(rows):
        import psycopg

        fill_table(url, rows, "more")
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO events SELECT * FROM more")

    text = "SELECT * FROM events WHERE event_time >= :start AND event_time < :end ORDER BY 1"
    connection = {"kind": "postgres", "url": url}
    return Place(f"sql:lake: {text}", {"lake": connection}, add)


KINDS = {
    "parquet-folder": parquet_folder,
    "parquet-rclone": lambda request, folder: parquet_bucket(request, folder, server="rclone"),
    "parquet-moto": lambda request, folder: parquet_bucket(request, folder, server="moto"),
    "delta-folder": delta_folder,
    "delta-moto": delta_bucket,
    "sql": query,
}


@pytest.fixture
def own_database(postgres):
    import psycopg

    name = f"warehouse_{next(NUMBERS)}"
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield name
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(
    params=[
        pytest.param(kind, marks=[pytest.mark.nightly] if kind == "parquet-moto" else [])
        for kind in sorted(KINDS)
    ]
)
def place(request, tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    return KINDS[request.param](request, folder)


@pytest.fixture
def bench(place, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    return Bench(open_store(store.as_uri()), connections_of(**place.connections))


def test_all_rows_come_out_as_rows_of_the_model(bench, place):
    rows = bench.read(bench.freeze(place.name)).sort_by(ORDER)
    raw = days()
    assert rows.column_names == [
        "prediction_id",
        "time",
        "label",
        "weight",
        "entity",
        "temp",
        "hour",
        "carrier",
        "rain",
    ]
    for ours, theirs in COLUMNS.by_target.items():
        expected = raw[theirs].cast(rows.schema.field(ours).type)
        assert rows[ours].to_pylist() == expected.to_pylist()
    assert len(set(rows["prediction_id"].to_pylist())) == rows.num_rows


def test_only_rows_of_the_range_and_outside_of_what_is_left_out(bench, place):
    span = Interval(START + 1.5 * DAY, START + 5.25 * DAY)
    left_out = Interval(START + 3 * DAY, START + 4 * DAY)
    rows = bench.read(bench.freeze(place.name, span), span, excluded=[left_out])
    times = rows["time"].to_pylist()
    assert (min(times), max(times) < span.end) == (span.start, True)
    assert len(times) == 375 - 100
    assert not any(left_out.start <= time < left_out.end for time in times)


def test_only_the_wanted_columns_are_read(bench, place):
    rows = bench.read(bench.freeze(place.name), wanted=["label", "temp"])
    assert rows.column_names == ["prediction_id", "time", "label", "temp"]


def test_the_same_source_is_frozen_as_the_same(bench, place):
    one, two = bench.freeze(place.name), bench.freeze(place.name)
    assert one == two
    assert FrozenSource.from_json(one.to_json()) == one


def test_what_comes_later_changes_nothing_in_what_was_frozen(bench, place):
    before = bench.freeze(place.name)
    rows = bench.read(before)
    place.add(raw_rows(START + 2 * DAY, seed=5))
    assert bench.read(before).equals(rows)
    after = bench.freeze(place.name)
    assert after != before
    assert bench.read(after).num_rows == rows.num_rows + 100


def test_a_range_without_rows_is_empty(bench, place):
    span = Interval(START + 100 * DAY, START + 101 * DAY)
    frozen = bench.freeze(place.name, span)
    assert frozen.files == ()
    assert bench.batches(frozen, span) == []


def test_a_missing_column_is_named(bench, place):
    bench.columns = replace(COLUMNS, label="gone")
    with pytest.raises(InvalidSourceRowsError, match="'gone': it is missing; the file has"):
        bench.freeze(place.name)


def test_a_column_of_another_type_is_named(bench, place):
    bench.columns = replace(COLUMNS, weight="carrier")
    with pytest.raises(InvalidSourceRowsError, match=r"'carrier', row 1: '[AU]A' is not a number"):
        bench.read(bench.freeze(place.name))


def test_rows_without_prediction_ids_are_named_by_file_and_number(bench, place):
    frozen = bench.freeze(place.name)
    ids = bench.read(frozen)["prediction_id"].to_pylist()
    digests = {file.digest[7:23] for file in frozen.files}
    assert {name.partition("-")[0] for name in ids} == digests


def test_of_rows_of_one_prediction_the_first_stands(bench, place):
    bench.columns = replace(COLUMNS, prediction_id="event_id")
    place.add(raw_rows(START + 2 * DAY, seed=5))
    frozen = bench.freeze(place.name)
    rows = bench.read(frozen)
    assert rows.num_rows == 700
    assert sum(file.rows for file in frozen.files) == 800


def test_a_model_that_no_connection_serves_reads_nothing(bench, place):
    narrow = {name: {**one, "models": ["other"]} for name, one in place.connections.items()}
    frozen = bench.freeze(place.name)
    bench.connections = connections_of(**narrow)
    with pytest.raises(SourceNotAllowedError, match="no connection lets model 'churn' read"):
        bench.freeze(place.name)
    if frozen.kind != "sql":
        with pytest.raises(SourceNotAllowedError):
            bench.read(frozen)


def test_a_week_is_seven_days(bench, place):
    assert bench.read(bench.freeze(place.name, WEEK), WEEK).num_rows == 700
