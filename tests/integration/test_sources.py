"""A model that is trained, judged and rebuilt from users' own data."""

import itertools
from datetime import timedelta

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from sqlmodel import select

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.services import evaluations, reproductions, snapshots
from mlreg.controller.services.snapshot_rows import read_rows
from mlreg.controller.services.sourcing import SourceParts
from mlreg.controller.store.tables import SourceFile
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Blob, LineageEdge
from tests.faults.workers import await_true
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    FixedClock,
    ask,
    await_end,
    get_run,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    specification,
    worker,
)
from tests.source_makers import (
    MAPPING,
    START,
    connections_of,
    fill_table,
    raw_rows,
    write_days,
)

NOW = START + 32 * DAY
WINDOWS = {"train_window": "20d", "evaluate_window": "10d", "label_delay": "1d"}
NUMBERS = itertools.count(1)


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def warehouse(postgres):
    name = f"run_warehouse_{next(NUMBERS)}"
    admin = postgres.url().replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name).replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connections(lake, warehouse):
    return connections_of(
        lake={"kind": "folder", "path": str(lake)},
        warehouse={"kind": "postgres", "url": warehouse},
    )


@pytest.fixture
def at_work(database, store, clock, tmp_path, connections):
    with worker(database, store, clock, tmp_path / "work", connections=connections):
        yield


@pytest.fixture
def parts(database, store, connections):
    return SourceParts(database, store, connections)


def rule(source, **more):
    return DataRule.model_validate({"source": source, **WINDOWS, **MAPPING, **more})


def month():
    return pa.concat_tables([raw_rows(START + day * DAY, rows_a_day=200) for day in range(31)])


def body_of(database, digest):
    with database.reading() as session:
        return snapshots.get_snapshot(session, digest).body


def trained(database, source, **options):
    run = await_end(database, ask(database, now=NOW, data=rule(source, **options)))
    assert run.state == "succeeded", log_of(database, run.id)
    return run


def rebuilt(database, model, number=1):
    with database.writing() as session:
        asked = reproductions.request_reproduction(
            session, model, number, deep=False, actor=PERSON, now=NOW
        )

    def found():
        with database.reading() as session:
            return reproductions.get_reproduction(session, asked)

    await_true(lambda: found().state not in {"queued", "running"})
    assert found().state == "succeeded", found().error
    return found().progress["finding"]


@pytest.mark.usefixtures("at_work")
def test_a_run_from_files_names_them_and_can_be_rebuilt(database, model, lake, parts):
    paths = write_days(lake / "days", 31, rows_a_day=200)
    run = trained(database, f"{lake}/days/*.parquet")
    with database.reading() as session:
        made = catalog.get_version(session, model, run.version)
        edges = session.exec(select(LineageEdge)).all()
        remembered = session.exec(select(SourceFile)).all()
    assert made.snapshots == [run.snapshot]
    body = body_of(database, run.snapshot)
    assert (body.source.kind, body.source.connection) == ("parquet", "lake")
    assert [file.path for file in body.source.files] == [f"file://{one}" for one in paths[1:21]]
    assert (made.train_start, made.train_end) == (body.range.start, body.range.end)
    assert made.metrics["train_rows"] == 4_000
    named = {(edge.source_kind, edge.source, edge.target) for edge in edges}
    assert ("source", f"file://{lake}/days/*.parquet", run.snapshot) in named
    assert {one.url for one in remembered} == {f"file://{one}" for one in paths[1:31]}
    judged_on = body_of(database, run.evaluate_snapshot)
    assert read_rows(parts, model, judged_on).num_rows == 2_000
    assert rebuilt(database, model)["outcome"] == "identical"


@pytest.mark.usefixtures("at_work")
def test_a_rebuild_says_which_file_is_lost_or_changed(database, model, lake):
    paths = write_days(lake / "days", 31, rows_a_day=200)
    run = trained(database, f"{lake}/days")
    content = paths[3].read_bytes()
    paths[3].unlink()
    finding = rebuilt(database, model)
    assert finding["outcome"] == "not_reproducible"
    assert f"file://{paths[3]} is gone; sha256:" in finding["reason"]
    pq.write_table(raw_rows(START + 3 * DAY, rows_a_day=200, seed=8), paths[3])
    finding = rebuilt(database, model)
    assert f"file://{paths[3]} was changed: sha256:" in finding["reason"]
    paths[3].write_bytes(content)
    assert rebuilt(database, model)["outcome"] == "identical"
    assert run.snapshot in finding["reason"]


@pytest.mark.usefixtures("at_work")
def test_a_run_from_a_query_keeps_its_answer(database, model, warehouse, store):
    fill_table(warehouse, month())
    query = "SELECT * FROM events WHERE event_time >= :start AND event_time < :end ORDER BY 1"
    run = trained(database, f"sql:warehouse: {query}")
    body = body_of(database, run.snapshot)
    assert body.blobs
    with database.reading() as session:
        assert all(session.get(Blob, digest).state == "verified" for digest in body.blobs)
    with psycopg.connect(warehouse) as connection:
        connection.execute("DELETE FROM events")
    assert rebuilt(database, model)["outcome"] == "identical"
    store.delete(body.blobs[0])
    finding = rebuilt(database, model)
    assert (finding["outcome"], "is gone" in finding["reason"]) == ("not_reproducible", True)


@pytest.mark.nightly
@pytest.mark.usefixtures("at_work")
def test_a_run_from_a_delta_table_names_its_version(database, model, lake):
    for day in range(31):
        write_deltalake(
            str(lake / "table"), raw_rows(START + day * DAY, rows_a_day=200), mode="append"
        )
    run = trained(database, f"delta:{lake}/table")
    assert body_of(database, run.snapshot).source.version == 30
    assert rebuilt(database, model)["outcome"] == "identical"


@pytest.mark.usefixtures("at_work", "model")
def test_a_version_is_judged_on_a_source_with_the_champion(database, lake, clock):
    write_days(lake / "days", 60, rows_a_day=200)
    first = trained(database, f"{lake}/days")
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    second = trained(database, f"{lake}/days", train_window="10d")
    clock.moment = NOW + 20 * DAY
    with database.writing() as session:
        number = evaluations.request_evaluation(
            session,
            evaluations.EvaluationRequest(
                catalog.get_model(session, "flights"),
                "production",
                second.version,
                specification(data=rule(f"{lake}/days")),
            ),
            actor=PERSON,
            now=clock.moment,
        )

    def found():
        with database.reading() as session:
            return evaluations.get_evaluation(session, number)

    await_true(lambda: found().state not in {"queued", "running"})
    assert found().state == "succeeded", found().error
    with database.reading() as session:
        from mlreg.controller.services import decisions

        decision = decisions.get_decision(session, found().decision_id)
    assert decision.evidence["rows"] == 2_000
    assert body_of(database, decision.snapshot).source is not None


@pytest.mark.usefixtures("at_work", "model")
@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("/nowhere/*.parquet", "no connection lets model 'flights' read file:///nowhere"),
        ("{lake}/none/*.parquet", "no file matches"),
        ("sql:none: SELECT 1", "no postgres connection 'none'"),
        ("delta:{lake}/none", "no Delta table"),
    ],
)
def test_a_source_that_cannot_be_read_fails_the_run_at_once(database, lake, source, problem):
    run = await_end(database, ask(database, now=NOW, data=rule(source.format(lake=lake))))
    assert (run.state, run.attempt) == ("failed", 1)
    assert problem in run.error


@pytest.mark.usefixtures("at_work")
def test_all_of_a_source_trains_though_the_log_begins_later(database, model, lake):
    log_stream(database, model, NOW - 3 * DAY, 1)
    write_days(lake / "days", 31, rows_a_day=200)
    since = {"expanding": START.isoformat()}
    windows = {"train_window": "5d", "evaluate_window": "2d", "select": since}
    run = trained(database, f"{lake}/days", **windows)
    with database.reading() as session:
        made = catalog.get_version(session, model, run.version)
    assert made.metrics["train_rows"] == 29 * 200


@pytest.mark.usefixtures("at_work", "model")
def test_a_window_without_rows_trains_nothing(database, lake):
    write_days(lake / "days", 2)
    clock_ahead = NOW + timedelta(days=300)
    run = await_end(database, ask(database, now=clock_ahead, data=rule(f"{lake}/days")))
    assert run.state == "failed"
    assert "can be trained on" in run.error


@pytest.mark.usefixtures("at_work", "model")
def test_a_file_that_is_rewritten_within_its_state_is_an_error_once(database, lake):
    """The memory of a digest is wrong: reading finds out, and the next run hashes anew."""
    paths = write_days(lake / "days", 31, rows_a_day=200)
    trained(database, f"{lake}/days")
    with database.writing() as session:
        known = session.exec(select(SourceFile).where(SourceFile.url == f"file://{paths[3]}")).one()
        known.digest = "sha256:" + "0" * 64
        session.add(known)
    run = await_end(database, ask(database, now=NOW, data=rule(f"{lake}/days")))
    assert (run.state, "was changed" in run.error) == ("failed", True)
    trained(database, f"{lake}/days")
    assert get_run(database, run.id).attempt == 1
