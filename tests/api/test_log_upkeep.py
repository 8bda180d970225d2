"""What leaves the log for good: an erased entity, and rows that are older than they are kept."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from mlreg.cli import app as cli_app
from mlreg.cli.output import OUTPUT
from mlreg.client.errors import InvalidError, NotFoundError, RunFailedError
from mlreg.controller.api import feedback, log_upkeep, snapshots
from mlreg.controller.domain.losses import SnapshotLostError
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import erasing, retention
from mlreg.controller.services.chore import ChoreRoom
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.controller.services.losses import lost_of
from mlreg.controller.services.snapshots import freeze, get_exportable
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.store.clock import SystemClock
from tests.faults.workers import await_true
from tests.feedback_makers import NOW, START, labels, make_model, predictions
from tests.run_makers import worker

ENTITY = "customer-7"


@pytest.fixture
def extra_routers():
    return (feedback.router, log_upkeep.router, snapshots.router)


@pytest.fixture
def model(database):
    return make_model(database)


def about(rows, every=10):
    entities = [
        ENTITY if n % every == 0 else f"customer-{n}-of-others" for n in range(rows.num_rows)
    ]
    return rows.append_column("entity", pa.array(entities))


def log(database, model, kind, batch_id, rows):
    with database.writing() as session:
        return accept(session, model, kind, batch_id, rows, now=NOW)


def frozen(database, model):
    with database.writing() as session:
        return freeze(session, model, start=START, end=NOW, labels_until=NOW, actor=SYSTEM, now=NOW)


def logged(database, store, model):
    with database.reading() as session:
        return read_rows(store, select_rows(session, model, Interval(START, NOW), NOW))


def erase(client, database, store, tmp_path, reason="asked by the customer"):
    asked = client.log.erase("flights", ENTITY, reason=reason)
    with worker(database, store, SystemClock(), tmp_path / "work"):
        await_true(lambda: client.log.erasure(asked.number).ended_at is not None)
    return client.log.erasure(asked.number)


def text_of(database):
    """Return every text that PostgreSQL keeps of erasures, jobs and the audit log."""
    with database.reading() as session:
        return "".join(
            str(row)
            for table in ("erasure", "job", "audit_entry", "lost_segment", "idempotency_key")
            for row in session.execute(text(f"SELECT * FROM {table}"))
        )


def test_an_erased_entity_is_nowhere_in_the_log_nor_in_the_audit(
    client, database, store, tmp_path, model
):
    rows = about(predictions(0, 200))
    log(database, model, "predictions", "a", rows.slice(0, 100))
    log(database, model, "labels", "a", labels(rows.slice(0, 100)))
    drain_model(database, store, model.id, now=NOW)
    before = frozen(database, model)
    log(database, model, "predictions", "b", rows.slice(100))  # these still wait
    log(database, model, "labels", "b", labels(rows.slice(100)))
    done = erase(client, database, store, tmp_path)
    assert (done.predictions, done.labels) == (20, 20)
    left = logged(database, store, model)
    assert left.num_rows == 180
    assert ENTITY not in left["entity"].to_pylist()
    assert left["label"].null_count == 0
    assert ENTITY not in text_of(database)
    entries = list(client.audit.list(subject="model:flights"))
    assert {"log.erase", "log.erased"} <= {entry.action for entry in entries}
    with database.reading() as session:
        lost = lost_of(session, before.body)
        assert {one.digest for one in lost} == set(before.body.segments)
        assert {(one.cause, one.rows, one.erasure) for one in lost} == {("erased", 10, done.number)}
        with pytest.raises(SnapshotLostError) as refused:
            get_exportable(session, before.digest)
    assert all(digest in str(refused.value) for digest in before.body.segments)
    unneeded = "SELECT digest FROM blob WHERE NOT EXISTS (SELECT 1 FROM blob_reference r "
    with database.reading() as session:
        found = session.execute(text(unneeded + "WHERE r.digest = blob.digest)"))
        assert set(before.body.segments) <= {row[0] for row in found}
    again = erase(client, database, store, tmp_path)
    assert (again.predictions, again.labels) == (0, 0)


def test_a_snapshot_alone_may_hold_the_entity(client, database, store, tmp_path, model):
    """The log has merged its segments since: only a snapshot refers to the old ones."""
    rows = about(predictions(0, 40))
    log(database, model, "predictions", "a", rows)
    drain_model(database, store, model.id, now=NOW)
    before = frozen(database, model)
    with database.writing() as session:
        session.execute(text("DELETE FROM segment"))
        session.execute(text("DELETE FROM blob_reference WHERE kind = 'segment'"))
    done = erase(client, database, store, tmp_path)
    assert done.predictions == 0
    with database.reading() as session:
        assert [one.rows for one in lost_of(session, before.body)] == [4]


def expire(database, store):
    return retention.expire(ChoreRoom(database, store, NOW))


def test_what_is_older_than_it_is_kept_goes_but_for_what_versions_need(
    client, database, store, model
):
    day = timedelta(days=1)
    for number in range(4):
        part = predictions(number * 10, 10, start=START + number * 7 * day)
        log(database, model, "predictions", f"p{number}", part)
        drain_model(database, store, model.id, now=NOW)
    assert expire(database, store) == "0 segments with 0 rows went"
    assert client.log.retention("flights").days is None
    answer = client.log.set_retention("flights", 20)
    assert (answer.days, client.log.retention("flights").days) == (20, 20)
    assert next(client.audit.list(subject="model:flights")).action == "log.retention"
    assert expire(database, store) == "2 segments with 20 rows went"
    assert expire(database, store) == "0 segments with 0 rows went"
    assert logged(database, store, model).num_rows == 20
    assert log(database, model, "predictions", "p0", predictions(0, 10)).duplicate
    with pytest.raises(InvalidError, match="1 days are too few: a label of this model may take 2"):
        client.log.set_retention("flights", 1)
    assert client.log.set_retention("flights", None).days is None


def test_a_fresh_snapshot_pins_and_an_old_one_does_not(client, database, store, model):
    log(database, model, "predictions", "p", predictions(0, 10))
    drain_model(database, store, model.id, now=NOW)
    held = frozen(database, model)
    client.log.set_retention("flights", 20)
    assert expire(database, store) == "0 segments with 0 rows went"
    with database.writing() as session:
        session.execute(text("UPDATE snapshot SET created_at = :at"), {"at": START})
    assert expire(database, store) == "1 segments with 10 rows went"
    with database.reading() as session:
        (lost,) = lost_of(session, held.body)
    assert (lost.cause, lost.rows) == ("expired", 10)
    assert str(lost).startswith(f"segment {lost.digest} (10 rows expired at 2013-07-01")


@pytest.fixture
def run(api, monkeypatch, capsys):
    """Call `mlreg log …` in this process; return exit code, stdout and stderr."""
    monkeypatch.setenv("MLREG_URL", api.url)
    monkeypatch.setenv("MLREG_TOKEN", api.token)
    monkeypatch.setattr(cli_app.signal, "signal", lambda *_given: None)

    def call(*words):
        monkeypatch.setattr(OUTPUT, "json", False)
        with pytest.raises(SystemExit) as ended:
            cli_app.main(["log", *words])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def test_the_command_line(run, database, store, tmp_path, model):
    log(database, model, "predictions", "a", about(predictions(0, 20)))
    assert run("retention", "flights")[1] == "logged rows of flights are kept for ever\n"
    assert run("retention", "flights", "400d")[1].endswith("are kept for 400 days\n")
    assert run("retention", "flights", "36h")[0] == 2
    asked = ("erase", "flights", "--entity", ENTITY, "--reason", "asked", "--wait")
    with worker(database, store, SystemClock(), tmp_path / "work"):
        answer = json.loads(run(*asked, "--json")[1])
        again = run(*asked)
    assert (answer["predictions"], answer["labels"], answer["state"]) == (2, 0, "succeeded")
    assert answer["report"]["segments"] == 1
    assert "2 predictions, 0 labels" in run("erasures", "flights")[1]
    assert again[:2] == (0, "erasure 2: the log of flights has no row about it\n")
    assert run("erasure", "1")[1] == "erasure 1: 2 predictions, 0 labels are gone\n"
    assert run("erasures", "flights", "--limit", "1")[1].endswith("more: --before 2\n")
    rest = json.loads(run("erasures", "flights", "--before", "2", "--json")[1])
    assert ([one["number"] for one in rest["items"]], rest["next"]) == ([1], None)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("erase", "flights", "--entity", "x"), 2, "--reason"),
        (("erase", "flights", "--entity", " ", "--reason", "r"), 2, "--entity is empty"),
        (("erase", "flights", "--entity", "x", "--reason", ""), 2, "--reason is empty"),
        (("erase", "flights", "--entity", "x" * 1025, "--reason", "r"), 2, "1024"),
        (("erase", "flights", "--entity", "ada", "--reason", "Ada asked"), 2, "names the entity"),
        (("erase", "trains", "--entity", "x", "--reason", "r"), 3, "trains"),
        (("erasure", "7"), 3, "no erasure 7"),
        (("erasure", "0"), 2, "greater than or equal to 1"),
    ],
)
@pytest.mark.usefixtures("model")
def test_the_command_line_refuses(run, words, code, said):
    ended, out, err = run(*words)
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_who_waits_for_an_erasure_that_is_dead_is_told(run, client, database, model):
    with database.writing() as session:
        erasing.request_erasure(session, model, ENTITY, "asked", actor=SYSTEM, now=NOW)
        dead = "UPDATE job SET state = 'dead', error = 'the store is gone' WHERE kind = 'erase'"
        session.execute(text(dead))
    with pytest.raises(RunFailedError, match="dead: the store is gone; its rows are still there"):
        client.log.wait_for_erasure(1)
    said = run("erasure", "1")[1]
    assert said == "erasure 1 is dead, and its rows are still there: the store is gone\n"
    assert "dead" in run("erasures", "flights")[1]


def test_an_unknown_erasure(client):
    with pytest.raises(NotFoundError, match="no erasure 7"):
        client.log.erasure(7)
