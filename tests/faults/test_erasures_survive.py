"""An erasure that is killed at any step, and what else touches the log while one goes on."""

import json
import threading
from contextlib import contextmanager
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from mlreg.controller.domain.losses import SnapshotLostError
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import compaction, draining, entity_rows, erasing, retention
from mlreg.controller.services.chore import ChoreRoom
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.controller.services.losses import check_whole
from mlreg.controller.services.snapshots import freeze
from mlreg.controller.store.tables import Retention
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import audit
from tests.faults.workers import (
    PATIENCE_SECONDS,
    await_true,
    end_leases,
    run_worker_process,
)
from tests.feedback_makers import NOW, START, labels, make_model, predictions
from tests.run_makers import FixedClock, worker

ENTITY = "customer-7"
STEPS = {
    "erase_drained": False,
    "erase_before_commit": False,
    "erase_in_commit": False,
    "erase_after_commit": True,
}
"""Where a worker is killed, and whether the rows have gone by then."""
TIGHTEST = "erase_in_commit"
LEASE_SECONDS = 120.0  # the killed one's is ended; on a busy machine none ends before


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def model(database):
    return make_model(database)


def about(rows, every=10):
    names = [ENTITY if n % every == 0 else f"other-{n}" for n in range(rows.num_rows)]
    return rows.append_column("entity", pa.array(names))


def log(database, model, batch, rows, *, kinds=("predictions", "labels")):
    with database.writing() as session:
        for kind in kinds:
            table = rows if kind == "predictions" else labels(rows)
            accept(session, model, kind, batch, table, now=NOW)


def ask(database, model):
    with database.writing() as session:
        return erasing.request_erasure(session, model, ENTITY, "asked", actor=SYSTEM, now=NOW).id


def logged(database, store, model):
    """Return the rows that can be read, their counts by id, and how many name the entity."""
    with database.reading() as session:
        rows = read_rows(store, select_rows(session, model, Interval(START, NOW), NOW))
    return rows.num_rows, rows["entity"].to_pylist().count(ENTITY), rows["label"].null_count


def stored(database):
    """Return rows by kind, as the segments of the log say, and what waits."""
    query = "SELECT kind, sum(rows) FROM segment GROUP BY kind ORDER BY kind"
    with database.reading() as session:
        waiting = session.execute(text("SELECT count(*) FROM waiting_batch")).scalar_one()
        return [tuple(row) for row in session.execute(text(query))], waiting


def erasure(database, number):
    with database.reading() as session:
        return erasing.get_erasure(session, number)


def is_done(database, number):
    return erasure(database, number).ended_at is not None


def entries(database):
    query = "SELECT count(*) FROM audit_entry WHERE action = 'log.erased'"
    with database.reading() as session:
        assert audit.verify(session).first_bad is None
        return session.execute(text(query)).scalar_one()


def frozen(database, model):
    with database.writing() as session:
        return freeze(session, model, start=START, end=NOW, labels_until=NOW, actor=SYSTEM, now=NOW)


@contextmanager
def erasing_worker(database, store, tmp_path):
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        yield


def erase(database, store, tmp_path, number):
    with erasing_worker(database, store, tmp_path):
        await_true(lambda: is_done(database, number))


@pytest.mark.parametrize(
    "step",
    [pytest.param(one, marks=() if one == TIGHTEST else pytest.mark.nightly) for one in STEPS],
)
def test_a_killed_erasure_changed_nothing_or_everything_and_a_retry_ends_it(
    database, database_url, tmp_path, store, model, step
):
    rows = about(predictions(0, 200))
    log(database, model, "a", rows.slice(0, 100))
    drain_model(database, store, model.id, now=NOW)
    snapshot = frozen(database, model)
    log(database, model, "b", rows.slice(100))
    number = ask(database, model)
    with run_worker_process(database_url, tmp_path, NOW, step, LEASE_SECONDS) as victim:
        assert victim.wait(PATIENCE_SECONDS) == -9
    end_leases(database)
    gone = STEPS[step]
    assert is_done(database, number) == gone
    assert logged(database, store, model) == ((180, 0, 0) if gone else (200, 20, 0))
    assert entries(database) == int(gone)
    assert (erasure(database, number).entity is None) == gone
    with database.reading() as session:
        if not gone:
            check_whole(session, snapshot.body)
    erase(database, store, tmp_path, number)
    assert logged(database, store, model) == (180, 0, 0)
    assert stored(database) == ([("labels", 180), ("predictions", 180)], 0)
    assert entries(database) == 1
    done = erasure(database, number)
    assert (done.entity, done.predictions, done.labels) == (None, 20, 20)
    with database.reading() as session, pytest.raises(SnapshotLostError, match="10 rows erased"):
        check_whole(session, snapshot.body)


@contextmanager
def while_it_looks(monkeypatch, happens):
    """Have something happen, once, when an erasure has looked and not yet written."""
    look, done = entity_rows.EntitySearch.look, []

    def looked(search):
        look(search)
        if not done:
            done.append(True)
            happens()

    with monkeypatch.context() as patch:
        patch.setattr(entity_rows.EntitySearch, "look", looked)
        yield
    assert done


def test_rows_that_are_drained_while_it_looks_go_too(database, tmp_path, store, model, monkeypatch):
    rows = about(predictions(0, 100))
    log(database, model, "a", rows.slice(0, 50))
    number = ask(database, model)

    def drain_more():
        log(database, model, "b", rows.slice(50))
        drain_model(database, store, model.id, now=NOW)

    with while_it_looks(monkeypatch, drain_more):
        erase(database, store, tmp_path, number)
    assert logged(database, store, model) == (90, 0, 0)
    assert erasure(database, number).predictions == 10


def test_segments_that_are_merged_while_it_looks_do_not_bring_rows_back(
    database, tmp_path, store, model, monkeypatch
):
    monkeypatch.setattr(compaction, "FEW_SEGMENTS", 4)
    rows = about(predictions(0, 40))

    def log_parts():
        for part in range(4):
            log(database, model, f"{part}", rows.slice(part * 10, 10))
            with monkeypatch.context() as patch:
                patch.setattr(compaction, "FEW_SEGMENTS", 99)
                drain_model(database, store, model.id, now=NOW)

    log_parts()
    monkeypatch.setattr(draining, "compact_model", lambda *_args, **_options: 0)
    number = ask(database, model)

    def merge():
        assert compaction.compact_model(database, store, model.id, now=NOW) == 8

    with while_it_looks(monkeypatch, merge):
        erase(database, store, tmp_path, number)
    assert logged(database, store, model) == (36, 0, 0)
    assert stored(database)[0] == [("labels", 36), ("predictions", 36)]


def test_a_compaction_that_read_before_and_writes_after_gives_up(
    database, tmp_path, store, model, monkeypatch
):
    rows = about(predictions(0, 40))
    for part in range(4):
        log(database, model, f"{part}", rows.slice(part * 10, 10))
        drain_model(database, store, model.id, now=NOW)
    monkeypatch.setattr(compaction, "FEW_SEGMENTS", 4)
    number, read = ask(database, model), compaction.read_segments

    def read_then_erase(*given):
        tables = read(*given)
        with monkeypatch.context() as patch:
            patch.setattr(compaction, "FEW_SEGMENTS", 99)
            if not is_done(database, number):
                erase(database, store, tmp_path, number)
        return tables

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "read_segments", read_then_erase)
        compaction.compact_model(database, store, model.id, now=NOW)
    assert logged(database, store, model) == (36, 0, 0)
    assert stored(database)[0] == [("labels", 36), ("predictions", 36)]


def test_what_expires_while_it_looks_stays_gone(database, tmp_path, store, model, monkeypatch):
    rows = about(predictions(0, 40))
    log(database, model, "a", rows.slice(0, 20))
    drain_model(database, store, model.id, now=NOW)
    log(database, model, "b", predictions(40, 20, start=NOW - timedelta(days=1)))
    number = ask(database, model)

    def expire():
        with database.writing() as session:
            session.add(Retention(model_id=model.id, days=20, set_at=NOW, set_by="ada"))
        said = retention.expire(ChoreRoom(database, store, NOW))
        assert said == "2 segments with 40 rows went"

    with while_it_looks(monkeypatch, expire):
        erase(database, store, tmp_path, number)
    done = erasure(database, number)
    assert (done.predictions, done.labels) == (0, 0)
    assert logged(database, store, model)[:2] == (20, 0)


def test_two_erasures_of_one_entity_at_once(database, tmp_path, store, model):
    log(database, model, "a", about(predictions(0, 40)))
    first, second = ask(database, model), ask(database, model)
    with (
        erasing_worker(database, store, tmp_path),
        erasing_worker(database, store, tmp_path / "other"),
    ):
        await_true(lambda: is_done(database, first) and is_done(database, second))
    done = [erasure(database, number) for number in (first, second)]
    assert sorted(one.predictions for one in done) == [0, 4]
    assert [one.entity for one in done] == [None, None]
    assert stored(database)[0] == [("labels", 36), ("predictions", 36)]


def test_a_later_erasure_ends_one_that_is_dead(database, tmp_path, store, model):
    log(database, model, "a", about(predictions(0, 40)))
    first = ask(database, model)
    with database.writing() as session:
        session.execute(text("UPDATE job SET state = 'dead' WHERE kind = 'erase'"))
    with database.reading() as session:
        assert erasing.state_of(session, erasing.get_erasure(session, first))[0] == "dead"
    second = ask(database, model)
    erase(database, store, tmp_path, second)
    ended = erasure(database, first)
    assert (ended.entity, ended.predictions, ended.report["joined"]) == (None, 0, second)


def test_an_erasure_that_ends_between_two_looks_is_not_taken_for_undone(database, model):
    """Its row is read first, its job a moment later; whoever waits looks once more."""
    number = ask(database, model)
    with database.reading() as session:
        read = erasing.get_erasure(session, number)
    with database.writing() as session:
        session.execute(text("UPDATE job SET state = 'succeeded' WHERE kind = 'erase'"))
    with database.reading() as session:
        assert erasing.state_of(session, read) == ("running", None)


def test_a_snapshot_is_frozen_before_or_after_never_beside(database, tmp_path, store, model):
    """Who freezes holds the log: an erasure waits, and then the snapshot has lost its rows."""
    log(database, model, "a", about(predictions(0, 40)))
    drain_model(database, store, model.id, now=NOW)
    number = ask(database, model)
    selected, go_on = threading.Event(), threading.Event()
    made = []

    def hold():
        with database.writing() as session:
            made.append(
                freeze(
                    session, model, start=START, end=NOW, labels_until=NOW, actor=SYSTEM, now=NOW
                )
            )
            selected.set()
            go_on.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert selected.wait(PATIENCE_SECONDS)
    with erasing_worker(database, store, tmp_path):
        assert not threading.Event().wait(0.7)
        assert not is_done(database, number)
        go_on.set()
        thread.join()
        await_true(lambda: is_done(database, number))
    refers = "SELECT count(*) FROM blob_reference WHERE owner = :owner"
    with database.reading() as session:
        with pytest.raises(SnapshotLostError):
            check_whole(session, made[0].body)
        left = session.execute(text(refers), {"owner": made[0].digest}).scalar_one()
    assert left == 0  # whatever it referred to had the entity in it
    assert json.loads(made[0].body.to_bytes())["predictions"]
