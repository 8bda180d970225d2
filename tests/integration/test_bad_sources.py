"""What is wrong with users' own data: each has a stated answer, and never other rows."""

import itertools
import os
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from mlreg.controller.domain.connections import PostgresConnection
from mlreg.controller.domain.windows import Interval
from mlreg.controller.sources import delta
from mlreg.controller.sources.errors import (
    DeltaNotInstalledError,
    DeltaUnsupportedError,
    DuplicateFilesError,
    FileLeadsOutError,
    InvalidSourceRowsError,
    NoFilesError,
    QueryFailedError,
    QueryTimeoutError,
    SourceFileChangedError,
    SourceFileLostError,
    SourceInMotionError,
    SourceTooLargeError,
    SourceUnreachableError,
    TableNotFoundError,
    UnreadableFileError,
)
from mlreg.controller.sources.folder import Folder
from mlreg.controller.sources.freezing import Listed, Wish, freeze_files
from mlreg.controller.sources.source import NoMemory
from mlreg.controller.sources.sql import connected
from mlreg.registry.artifacts.opening import open_store
from tests.servers.fault_proxy import FaultProxy
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


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@pytest.fixture
def bench(tmp_path, lake):
    store = tmp_path / "store"
    store.mkdir()
    return Bench(
        open_store(store.as_uri()), connections_of(lake={"kind": "folder", "path": str(lake)})
    )


def write(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def changed(name, values, rows=None):
    table = raw_rows() if rows is None else rows
    return table.set_column(table.column_names.index(name), name, pa.array(values))


# files


def test_no_file_matches(bench, lake):
    for name in (f"{lake}/*.parquet", f"{lake}/none", f"{lake}/none.parquet"):
        with pytest.raises(NoFilesError, match="no file matches"):
            bench.freeze(name)


def test_hidden_and_half_written_files_do_not_count(bench, lake):
    write_days(lake, 1)
    write(lake / "_temporary" / "0" / "x.parquet", raw_rows(seed=1))
    write(lake / ".hidden.parquet", raw_rows(seed=2))
    (lake / "_SUCCESS").touch()
    os.mkfifo(lake / "pipe.csv")
    assert len(bench.freeze(str(lake)).files) == 1


@pytest.mark.parametrize("size", [0, 3, 200, -5])
def test_a_truncated_file_is_named_when_it_is_frozen(bench, lake, size):
    path = write(lake / "a.parquet", raw_rows())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UnreadableFileError, match=r"a.parquet is not readable as Parquet"):
        bench.freeze(str(lake))


def test_a_file_that_is_changed_truncated_or_lost_is_named_when_it_is_read(bench, lake):
    paths = write_days(lake, 7)
    frozen = bench.freeze(str(lake))
    content = paths[4].read_bytes()
    flipped = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    other = write(lake / "other", raw_rows(START + 4 * DAY, seed=3)).read_bytes()
    for wrong in (flipped, content[:-1], content + b"x", other, b""):
        paths[4].write_bytes(wrong)
        with pytest.raises(SourceFileChangedError, match=r"day-04.parquet was changed") as caught:
            bench.read(frozen)
        assert caught.value.expected == frozen.files[4].digest != caught.value.found
    paths[4].unlink()
    with pytest.raises(SourceFileLostError, match=r"day-04.parquet is gone"):
        bench.read(frozen)
    paths[4].write_bytes(content)
    assert bench.read(frozen).num_rows == 700


def test_rows_before_a_changed_file_came_from_files_that_are_whole(bench, lake):
    paths = write_days(lake, 3)
    frozen = bench.freeze(str(lake))
    paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"x")
    with pytest.raises(SourceFileChangedError):
        bench.batches(frozen)


def test_a_file_that_is_written_while_it_is_frozen(lake):
    path = write(lake / "a.parquet", raw_rows())

    class Busy(Folder):
        """Somebody writes the file between its footer and its hash."""

        def open(self, url):
            if next(self.opened) == 1:
                os.utime(path, (1, 1))
            return super().open(url)

    busy = Busy(str(lake))
    busy.opened = itertools.count()
    wish = Wish(busy, COLUMNS, WEEK, NoMemory())
    with pytest.raises(SourceInMotionError, match=r"a.parquet was being written"):
        freeze_files("x", [Listed(f"file://{path}", {})], wish)


def test_the_same_file_twice(bench, lake):
    content = write(lake / "a.parquet", raw_rows()).read_bytes()
    (lake / "copy of a.parquet").write_bytes(content)
    with pytest.raises(DuplicateFilesError, match="are the same file twice"):
        bench.freeze(str(lake))


@pytest.mark.nightly
def test_ten_thousand_files(bench, lake):
    """Their bytes are few; what counts is that each is looked at, hashed and read in bounds."""
    for part in range(100):
        (lake / f"hour={part % 24}" / f"part={part}").mkdir(parents=True)
    table = raw_rows(rows_a_day=10_000).drop_columns(["hour"])
    for number in range(10_000):
        part = number % 100
        target = lake / f"hour={part % 24}" / f"part={part}" / f"{number}.parquet"
        pq.write_table(table.slice(number, 1), target, compression="none")
    frozen = bench.freeze(str(lake))
    rows = bench.read(frozen)
    assert (len(frozen.files), rows.num_rows) == (10_000, 10_000)


def test_hive_partitions_are_columns(bench, lake):
    for hour in range(3):
        for carrier in ("AA", "A%2FB", "__HIVE_DEFAULT_PARTITION__"):
            rows = raw_rows(seed=hour * 10 + len(carrier)).drop_columns(["hour", "carrier"])
            write(lake / f"hour={hour}" / f"carrier={carrier}" / "x.parquet", rows)
    rows = bench.read(bench.freeze(str(lake)))
    assert set(rows["hour"].to_pylist()) == {0, 1, 2}
    assert set(rows["carrier"].to_pylist()) == {"AA", "A/B", None}


# paths


@pytest.mark.parametrize("linked", ["file", "folder", "root"])
def test_a_link_that_leads_out_is_refused(bench, lake, tmp_path, linked):
    outside = write(tmp_path / "outside" / "x.parquet", raw_rows())
    if linked == "file":
        (lake / "x.parquet").symlink_to(outside)
        name = str(lake)
    elif linked == "folder":
        (lake / "in").symlink_to(outside.parent)
        name = f"{lake}/in/x.parquet"
    else:
        (lake / "in").symlink_to(outside.parent)
        name = f"{lake}/in"
    with pytest.raises(FileLeadsOutError, match="leads out of"):
        bench.freeze(name)


def test_a_file_that_became_a_link_is_not_read(bench, lake, tmp_path):
    (path,) = write_days(lake, 1)
    frozen = bench.freeze(str(lake))
    outside = tmp_path / "outside.parquet"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(FileLeadsOutError):
        bench.read(frozen)


def test_a_link_within_the_folder_is_followed(bench, lake):
    write(lake / "real" / "x.parquet", raw_rows())
    (lake / "name.parquet").symlink_to(lake / "real" / "x.parquet")
    assert len(bench.freeze(f"{lake}/name.parquet").files) == 1


def test_a_delta_log_cannot_lead_out(bench, lake, tmp_path):
    table = lake / "table"
    write_deltalake(str(table), raw_rows())
    (entry,) = (table / "_delta_log").glob("*.json")
    (part,) = (name.name for name in table.glob("*.parquet"))
    outside = tmp_path / "outside.parquet"
    (table / part).rename(outside)
    for path in ("../../outside.parquet", str(outside), f"file://{outside}"):
        said = entry.read_text()
        entry.write_text(said.replace(part, path.replace("/", "\\/")))
        with pytest.raises((FileLeadsOutError, SourceUnreachableError, SourceInMotionError)):
            bench.freeze(f"delta:{table}")
        entry.write_text(said)


# columns and values


def test_a_time_without_a_zone_needs_one_to_be_named(bench, lake):
    naive = raw_rows()["event_time"].cast(pa.timestamp("us")).to_pylist()
    write(lake / "a.parquet", changed("event_time", naive))
    with pytest.raises(InvalidSourceRowsError, match="'event_time': it has no zone"):
        bench.freeze(str(lake))
    bench.columns = replace(COLUMNS, timezone="UTC")
    assert bench.read(bench.freeze(str(lake))).num_rows == 100
    bench.columns = replace(COLUMNS, timezone="America/New_York")
    rows = bench.read(bench.freeze(str(lake)))
    assert rows["time"][0].as_py() == START + timedelta(hours=4)


def test_a_time_that_a_zone_skips_is_an_error(bench, lake):
    times = [datetime.fromisoformat("2013-03-31T02:30:00")] * 100
    write(lake / "a.parquet", changed("event_time", pa.array(times, pa.timestamp("us"))))
    bench.columns = replace(COLUMNS, timezone="Europe/Berlin")
    march = Interval(START - 100 * DAY, START)
    with pytest.raises(InvalidSourceRowsError, match="'event_time': in Europe/Berlin"):
        bench.read(bench.freeze(str(lake), march), march)


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("temperature", [float("inf")] * 100, "column 'temperature', row 1: inf is infinite"),
        ("temperature", ["warm"] * 100, "row 1: 'warm' is not a number"),
        ("hour", [1.5] * 100, "'hour', row 1: 1.5 is not a whole number"),
        ("hour", [[1]] * 100, "'hour': it is list<"),
        ("churned", [2] * 100, "'churned', row 1: 2.0 is not a class"),
        ("w", [-1.0] * 100, "'w', row 1: -1.0 is below zero"),
        ("event_time", [None] * 100, "'event_time', row 1: it is missing"),
        ("event_time", ["2013-06-01"] * 100, "'event_time', row 1: '2013-06-01' is not a time"),
        ("event_time", [12] * 100, "'event_time': it is int64, where a time with its zone"),
        ("carrier", ["x" * 2000] * 100, "has more than 1024 letters"),
        ("rain", [3] * 100, "'rain': it is int64, where true or false is needed"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(bench, lake, column, values, problem):
    write(lake / "a.parquet", changed(column, values))
    with pytest.raises(InvalidSourceRowsError) as caught:
        bench.read(bench.freeze(str(lake)))
    assert f"file://{lake}/a.parquet: " in str(caught.value)
    assert problem in str(caught.value)


def test_the_number_of_a_row_is_that_in_its_file(bench, lake):
    weights = [1.0] * 100_000
    weights[77_000] = -5.0
    write(lake / "a.parquet", changed("w", weights, raw_rows(rows_a_day=100_000)))
    late = Interval(START + DAY / 2, START + DAY)
    with pytest.raises(InvalidSourceRowsError, match=r"row 77001: -5.0 is below zero"):
        bench.read(bench.freeze(str(lake), late), late)


def test_rows_without_a_label_stay_without_one(bench, lake):
    write(lake / "a.parquet", changed("churned", pa.array([None, 1] * 50, pa.int64())))
    rows = bench.read(bench.freeze(str(lake)))
    assert rows["label"].null_count == 50


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.timestamp("ns", tz="UTC"), None),
        (pa.timestamp("ms", tz="Europe/Berlin"), None),
        (pa.string(), [f"2013-06-01T{hour:02d}:00:00+02:00" for hour in range(2, 22)] * 5),
        (pa.dictionary(pa.int32(), pa.string()), ["2013-06-01T12:00:00Z"] * 100),
    ],
)
def test_times_come_in_many_types(bench, lake, kind, values):
    rows = raw_rows()
    times = rows["event_time"].cast(kind) if values is None else pa.array(values, kind)
    write(
        lake / "a.parquet",
        changed("event_time", times.to_pylist(), rows).set_column(0, "event_time", times),
    )
    found = bench.read(bench.freeze(str(lake)))
    assert found.num_rows == 100
    assert found.schema.field("time").type == pa.timestamp("us", tz="UTC")


def test_decimals_and_small_numbers_are_numbers(bench, lake):
    rows = raw_rows()
    rows = rows.set_column(
        3, "temperature", rows["temperature"].cast(pa.decimal128(20, 12), safe=False)
    )
    rows = rows.set_column(4, "hour", rows["hour"].cast(pa.int8()))
    rows = rows.set_column(5, "carrier", rows["carrier"].dictionary_encode())
    write(lake / "a.parquet", rows)
    found = bench.read(bench.freeze(str(lake)))
    assert found["temp"].to_pylist() == pytest.approx(
        rows["temperature"].cast(pa.float64()).to_pylist()
    )


def test_files_whose_columns_differ_are_fine_as_long_as_each_has_the_needed(bench, lake):
    write_days(lake, 1)
    more = raw_rows(START + DAY)
    order = more.column_names[::-1]
    write(lake / "b.parquet", more.select(order).drop_columns(["unrelated"]))
    assert bench.read(bench.freeze(str(lake))).num_rows == 200
    write(lake / "c.parquet", raw_rows(START + 2 * DAY).drop_columns(["carrier"]))
    with pytest.raises(InvalidSourceRowsError, match=r"c.parquet: column 'carrier': it is missing"):
        bench.freeze(str(lake))


# Delta


def test_a_table_whose_files_were_vacuumed_away(bench, lake):
    table = str(lake / "table")
    write_deltalake(table, raw_rows())
    frozen = bench.freeze(f"delta:{table}")
    old = bench.freeze(f"delta:{table}@0")
    write_deltalake(table, raw_rows(seed=1), mode="overwrite")
    assert bench.read(old).num_rows == 100
    DeltaTable(table).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(SourceFileLostError, match=r"\.parquet is gone; sha256:"):
        bench.read(frozen)
    with pytest.raises(SourceInMotionError):
        bench.freeze(f"delta:{table}@0")
    with pytest.raises(TableNotFoundError, match="version 9"):
        bench.freeze(f"delta:{table}@9")


def test_no_table_at_all(bench, lake):
    write_days(lake / "files", 1)
    for name in ("none", "files"):
        with pytest.raises(TableNotFoundError, match="no Delta table"):
            bench.freeze(f"delta:{lake}/{name}")


def test_partitions_of_a_table(bench, lake):
    rows = changed("carrier", ["A/A", "U U", None, "U%A"] * 25)
    write_deltalake(str(lake / "table"), rows, partition_by=["carrier", "hour"])
    found = bench.read(bench.freeze(f"delta:{lake}/table"))
    ours = sorted(
        zip(found["time"].to_pylist(), map(str, found["carrier"].to_pylist()), strict=True)
    )
    theirs = sorted(
        zip(rows["event_time"].to_pylist(), map(str, rows["carrier"].to_pylist()), strict=True)
    )
    assert ours == theirs


def test_a_table_that_needs_a_better_reader(bench, lake):
    table = lake / "table"
    configuration = {"delta.enableDeletionVectors": "true"}
    write_deltalake(str(table), raw_rows(), configuration=configuration)
    with pytest.raises(DeltaUnsupportedError, match="deletionVectors"):
        bench.freeze(f"delta:{table}")


def test_without_the_extra_the_error_names_it(bench, lake, monkeypatch):
    write_deltalake(str(lake / "table"), raw_rows())
    monkeypatch.setattr(delta, "deltalake", None)
    with pytest.raises(DeltaNotInstalledError) as caught:
        bench.freeze(f"delta:{lake}/table")
    assert "mlreg[delta]" in caught.value.hint


def test_the_room_loads_deltalake_only_for_tables():
    code = "import sys, mlreg.controller.services.handlers\nassert 'deltalake' not in sys.modules"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0


# queries


@pytest.fixture
def warehouse(postgres):
    name = f"bad_warehouse_{next(NUMBERS)}"
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgres.url(name).replace("+psycopg", "")
    fill_table(url, raw_rows())
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def asking(bench, warehouse):
    more = {"statement_timeout_seconds": 1, "max_rows": 150}
    bench.connections = connections_of(w={"kind": "postgres", "url": warehouse, **more})
    return bench


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM none", 'relation "none" does not exist'),
        ("SELECT * FROM events WHERE hour / 0 > 1", "division by zero"),
        ("DELETE FROM events RETURNING *", "syntax error"),
        ("WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone", "must not contain"),
        ("SELECT * FROM events; DELETE FROM events", "multiple commands"),
        ("SELECT * FROM events; COMMIT; DELETE FROM events", "multiple commands"),
        ("SELECT emptied() AS emptied, * FROM events", "read-only transaction"),
        (
            "SELECT set_config('transaction_read_only', 'off', false) AS c, * FROM events",
            "read-write",
        ),
        ("COPY events TO PROGRAM 'true'", "syntax error"),
    ],
)
def test_a_query_that_fails_or_writes_changes_nothing(asking, warehouse, query, said):
    with psycopg.connect(warehouse) as connection:
        connection.execute(
            "CREATE FUNCTION emptied() RETURNS int LANGUAGE plpgsql AS"
            " $$ BEGIN DELETE FROM events; RETURN 1; END $$"
        )
    with pytest.raises(QueryFailedError) as caught:
        asking.read(asking.freeze(f"sql:w: {query}"))
    assert said in str(caught.value)
    with psycopg.connect(warehouse) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (100,)


def test_a_slow_query_is_cut(asking):
    with pytest.raises(QueryTimeoutError, match="longer than 1 s"):
        asking.freeze("sql:w: SELECT *, pg_sleep(0.2) FROM events")


def test_a_connection_that_dies_half_way_leaves_no_half_of_an_answer(asking):
    """The 20,001st row, of the second page, ends the session that sends it."""
    dies = "SELECT events.*, CASE WHEN n = 201 THEN pg_terminate_backend(pg_backend_pid()) END AS x"
    with pytest.raises(SourceUnreachableError, match="w cannot be read: terminating connection"):
        asking.freeze(f"sql:w: {dies} FROM generate_series(1, 300) AS n, events")


def test_a_peer_that_is_gone_without_a_word_is_given_up_within_a_minute(warehouse):
    """A cable was cut, a host switched off; else a run would wait for two hours."""
    with connected(PostgresConnection(kind="postgres", url=warehouse)) as connection:
        given = connection.info.get_parameters()
    probes = [int(given[f"keepalives_{one}"]) for one in ("idle", "interval", "count")]
    assert probes[0] + probes[1] * probes[2] <= 60
    assert int(given["tcp_user_timeout"]) <= 60_000


def test_an_answer_that_is_too_large(asking):
    with pytest.raises(SourceTooLargeError, match="more than 150 rows"):
        asking.freeze("sql:w: SELECT * FROM events UNION ALL SELECT * FROM events")


def test_a_database_that_is_not_there(bench):
    url = "postgresql://me:hidden-secret@127.0.0.1:1/none"
    bench.connections = connections_of(w={"kind": "postgres", "url": url})
    with pytest.raises(SourceUnreachableError, match="connection w cannot be read") as caught:
        bench.freeze("sql:w: SELECT 1")
    assert "hidden-secret" not in str(caught.value)


def test_columns_of_types_that_are_not_taken(asking):
    bad = "SELECT event_time, churned, customer, temperature, hour, rain, w, {} FROM events"
    with pytest.raises(InvalidSourceRowsError, match="'carrier': it is binary"):
        asking.freeze("sql:w: " + bad.format("ARRAY[1] AS carrier"))
    with pytest.raises(InvalidSourceRowsError, match="'carrier': it is missing"):
        asking.freeze("sql:w: " + bad.format("1 AS other"))
    with pytest.raises(InvalidSourceRowsError, match="'event_time': it has no zone"):
        asking.freeze(
            "sql:w: "
            + bad.format("carrier").replace("event_time", "event_time::timestamp AS event_time")
        )


def test_numerics_and_uuids_are_taken(asking):
    query = (
        "SELECT event_time, churned::numeric, gen_random_uuid() AS customer, carrier, hour, rain,"
        " temperature::numeric, w FROM events WHERE event_time >= :start AND carrier LIKE '%A%'"
    )
    rows = asking.read(asking.freeze(f"sql:w: {query}"))
    assert rows.num_rows == 100
    assert len(rows["entity"][0].as_py()) == 36


def test_a_lost_answer_is_named(asking):
    frozen = asking.freeze("sql:w: SELECT * FROM events")
    asking.store.delete(frozen.files[0].digest)
    with pytest.raises(SourceFileLostError, match=r"rows-00001.parquet is gone"):
        asking.read(frozen)


# buckets


def test_a_bucket_that_is_not_there_or_gives_no_answer(bench, rclone):
    lake = bucket_of(rclone)
    bench.connections = connections_of(lake={**lake, "url": "s3://none"})
    with pytest.raises((NoFilesError, SourceUnreachableError)):
        bench.freeze("s3://none/x/*.parquet")
    bench.connections = connections_of(lake={**lake, "endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(SourceUnreachableError, match="NETWORK_CONNECTION"):
        bench.freeze("s3://mlreg/x/*.parquet")
    wrong = {**lake, "secret_access_key": "hidden-secret-of-mine"}
    bench.connections = connections_of(lake=wrong)
    put_days(rclone, "guarded", 1)
    with pytest.raises(SourceUnreachableError) as caught:
        bench.freeze("s3://mlreg/guarded/*.parquet")
    assert "hidden-secret" not in str(caught.value)


def test_an_object_that_is_rewritten_or_lost_is_named(bench, rclone):
    prefix = f"bad-{next(NUMBERS)}"
    put_days(rclone, prefix, 3)
    bench.connections = connections_of(lake=bucket_of(rclone))
    frozen = bench.freeze(f"s3://mlreg/{prefix}")
    put_days(rclone, prefix, 1, seed=4)
    with pytest.raises(SourceFileChangedError, match=f"s3://mlreg/{prefix}/day-00.parquet"):
        bench.read(frozen)
    client = rclone.client()
    client.delete_object(Bucket="mlreg", Key=f"{prefix}/day-00.parquet")
    client.close()
    with pytest.raises(SourceFileLostError, match=r"day-00.parquet is gone"):
        bench.read(frozen)


@pytest.mark.parametrize(
    "fault",
    [
        "flip_response",
        "short",
        *(pytest.param(one, marks=pytest.mark.nightly) for one in ("truncate", "status", "reset")),
    ],
)
def test_bytes_that_are_changed_on_their_way_never_become_rows(bench, rclone, fault):
    prefix = f"bad-{next(NUMBERS)}"
    put_days(rclone, prefix, 2, rows_a_day=5_000)
    proxy = FaultProxy(rclone.url)
    proxy.start()
    try:
        lake = {**bucket_of(rclone), "endpoint_url": proxy.url}
        bench.connections = connections_of(lake=lake)
        frozen = bench.freeze(f"s3://mlreg/{prefix}")
        whole = bench.read(frozen)
        proxy.inject(fault, path="day-01", times=100)
        refusals = (SourceFileChangedError, SourceUnreachableError)
        # of a short answer it may ask for the rest, or not
        with suppress(*refusals) if fault == "short" else pytest.raises(refusals):
            assert bench.read(frozen).equals(whole)
        proxy.faults.clear()
        assert bench.read(frozen).equals(whole)
    finally:
        proxy.stop()


# memory


class Remembering(NoMemory):
    def __init__(self):
        self.known = {}
        self.hashed = 0

    def recall(self, urls):
        return {url: self.known[url] for url in urls if url in self.known}

    def note(self, digests):
        self.hashed += len(digests)
        self.known.update(digests)


def test_what_was_hashed_before_is_not_hashed_again(bench, lake):
    paths = write_days(lake, 7)
    bench.memory = Remembering()
    one = bench.freeze(str(lake))
    assert bench.freeze(str(lake)) == one
    assert bench.memory.hashed == 7
    pq.write_table(raw_rows(START + 2 * DAY, seed=1), paths[2])
    assert bench.freeze(str(lake)) != one
    assert bench.memory.hashed == 8
