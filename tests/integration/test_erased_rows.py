"""What an erasure reaches beside the log, what retention forgets, and what of it is told."""

import io
import json
from datetime import timedelta

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import text
from sqlmodel import select

from mlreg.controller.domain.losses import RowsLostError, SnapshotLostError
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.sources import Columns, FrozenFile, FrozenSource
from mlreg.controller.domain.windows import DAY, Interval
from mlreg.controller.services import compaction, erasing, retention, snapshot_checks, snapshots
from mlreg.controller.services.chore import ChoreRoom
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.invariants import apply_invariants
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.controller.services.losses import check_still_there, check_whole, lost_of
from mlreg.controller.services.sourcing import SourceParts, keep_source
from mlreg.controller.store import log_upkeep
from mlreg.controller.store.tables import Job, Reading, Retention
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model
from mlreg.registry.services.uploads import send_blob
from tests.faults.workers import await_true
from tests.feedback_makers import FEATURES, NOW, START, labels, make_model, predictions
from tests.run_makers import FixedClock, worker

ENTITY = "customer-7"
IDS = ["p000000", "p000010"]


@pytest.fixture
def model(database):
    return make_model(database)


def with_entity(rows, names):
    return rows.append_column("entity", pa.array(names, pa.string()))


def about(rows, every=10):
    names = [ENTITY if n % every == 0 else f"other-{n}" for n in range(rows.num_rows)]
    return with_entity(rows, names)


def log(database, model, kind, batch, rows):
    with database.writing() as session:
        accept(session, model, kind, batch, rows, now=NOW)


def ask(database, model, entity=ENTITY):
    with database.writing() as session:
        return erasing.request_erasure(session, model, entity, "asked", actor=SYSTEM, now=NOW).id


def ended(database, number):
    with database.reading() as session:
        return erasing.get_erasure(session, number)


def erase(database, store, tmp_path, model, entity=ENTITY):
    number = ask(database, model, entity)
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        await_true(lambda: ended(database, number).ended_at is not None)
    return ended(database, number)


def logged(database, store, model):
    with database.reading() as session:
        return read_rows(store, select_rows(session, model, Interval(START, NOW), NOW))


def frozen(database, model, *, at=NOW):
    with database.writing() as session:
        given = {"start": START, "end": NOW, "labels_until": NOW, "actor": SYSTEM, "now": at}
        return snapshots.freeze(session, model, **given)


def test_the_feature_that_is_the_entity_key_names_it_too(database, store, tmp_path):
    target = TargetContract.from_json({"task": "binary", "entity_key": "hour"})
    schema = FeatureSchema.from_json(FEATURES)
    with database.writing() as session:
        specification = ModelSpecification("flights", target, schema)
        model = create_model(session, specification, actor=SYSTEM, now=NOW)
    rows = predictions(0, 48).set_column(4, "hour", pa.array([n % 24 for n in range(48)]))
    log(database, model, "predictions", "a", rows)
    log(database, model, "labels", "a", labels(rows))
    done = erase(database, store, tmp_path, model, "7")
    assert (done.predictions, done.labels) == (2, 2)
    assert 7 not in logged(database, store, model)["hour"].to_pylist()


def test_a_prediction_that_was_logged_again_without_its_entity_goes_too(
    database, store, tmp_path, model
):
    rows = predictions(0, 4)
    log(database, model, "predictions", "a", with_entity(rows, [ENTITY, ENTITY, "ada", None]))
    drain_model(database, store, model.id, now=NOW)
    log(database, model, "predictions", "b", with_entity(rows, [None, "eve", None, None]))
    done = erase(database, store, tmp_path, model)
    assert done.predictions == 3
    left = logged(database, store, model)
    found = dict(zip(left["prediction_id"].to_pylist(), left["entity"].to_pylist(), strict=True))
    assert found == {"p000001": "eve", "p000002": "ada", "p000003": None}


def named(ids):
    return [{"prediction_id": one, "features": {"temp": "1"}} for one in ids]


def keep_traces(database, model, ids, *, end=NOW, snapshot=""):
    """Write what jobs and readings keep of some rows."""
    payload = {"model_id": model.id, "end": end.isoformat(), "snapshot": snapshot}
    outcomes = {
        "explain": {"rows": 9, "worst": named(ids)},
        "parity": {"share": 0.1, "examples": ids},
        "check": {"invariants": [{"name": "a", "examples": ids}, {"name": "b", "examples": []}]},
    }
    with database.writing() as session:
        for kind, outcome in outcomes.items():
            values = {"kind": kind, "payload": payload, "outcome": outcome, "enqueued_at": NOW}
            session.add(Job(state="succeeded", **values))
        for monitor in ("parity", "invariant:a", "psi"):
            evidence = {"broken": 2, "examples": ids}
            place = {"model_id": model.id, "environment": "production", "start": end - DAY}
            values = {"monitor": monitor, "end": end, "state": "final", "created_at": NOW}
            session.add(Reading(evidence=evidence, **place, **values))


def traces(database):
    """Return what is left of them: prediction ids, by where they are."""
    with database.reading() as session:
        found = {row.kind: row.outcome for row in session.exec(select(Job)) if row.outcome}
        evidence = {row.monitor: row.evidence for row in session.exec(select(Reading))}
    assert found["explain"]["rows"] == 9
    assert {one["broken"] for one in evidence.values()} == {2}
    return {
        "explain": [one["prediction_id"] for one in found["explain"]["worst"]],
        "replay": found["parity"]["examples"],
        "check": [one["examples"] for one in found["check"]["invariants"]],
        **{monitor: one["examples"] for monitor, one in evidence.items()},
    }


def test_what_named_its_rows_names_the_others_still(database, store, tmp_path, model):
    rows = about(predictions(0, 20))
    log(database, model, "predictions", "a", rows)
    keep_traces(database, model, [*IDS, "p000003"])
    with database.writing() as session:
        other = make_other(session)
    keep_traces(database, other, ["p000003"])
    done = erase(database, store, tmp_path, model)
    assert done.report["evidence"] == 5
    with database.reading() as session:
        query = "SELECT string_agg(outcome::text, '') FROM job WHERE payload ->> 'model_id' = :id"
        text_of_jobs = session.execute(text(query), {"id": str(model.id)}).scalar_one()
        evidence = "SELECT string_agg(evidence::text, '') FROM reading WHERE monitor <> 'psi'"
        text_of_readings = session.execute(text(evidence)).scalar_one()
    for said in (text_of_jobs, text_of_readings):
        assert "p000003" in said
        assert not any(one in said for one in IDS)
    assert '"examples": []' in text_of_jobs


def make_other(session):
    target = TargetContract.from_json({"task": "binary"})
    specification = ModelSpecification("trains", target, FeatureSchema.from_json(FEATURES))
    return create_model(session, specification, actor=SYSTEM, now=NOW)


def expire(database, store):
    return retention.expire(ChoreRoom(database, store, NOW))


def keep_for(database, model, days):
    with database.writing() as session:
        row = Retention(model_id=model.id, days=days, set_at=NOW, set_by="ada")
        log_upkeep.set_retention(session, row)


def test_retention_forgets_the_rows_of_windows_that_are_older(database, store, model):
    log(database, model, "predictions", "a", predictions(0, 10))
    drain_model(database, store, model.id, now=NOW)
    old = frozen(database, model)
    keep_traces(database, model, IDS, end=NOW - timedelta(days=9), snapshot=old.digest)
    keep_for(database, model, 10)
    expire(database, store)
    kept = traces(database)
    assert (kept["explain"], kept["replay"], kept["check"]) == (IDS, IDS, [IDS, []])
    with database.writing() as session:
        session.execute(text('UPDATE snapshot SET "end" = :at'), {"at": NOW - 9 * DAY})
    keep_for(database, model, 8)
    expire(database, store)
    kept = traces(database)
    assert (kept["explain"], kept["replay"], kept["check"]) == ([], [], [[], []])
    assert (kept["parity"], kept["invariant:a"], kept["psi"]) == ([], [], IDS)


def merge(monkeypatch, database, store, model):
    monkeypatch.setattr(compaction, "FEW_SEGMENTS", 2)
    return compaction.compact_model(database, store, model.id, now=NOW)


def test_retention_reaches_what_only_an_old_snapshot_holds(database, store, model, monkeypatch):
    """The log has merged the segments since; nobody but the snapshot refers to the old ones."""
    for part in range(2):
        log(database, model, "predictions", f"{part}", predictions(part * 10, 10))
        drain_model(database, store, model.id, now=NOW)
    held = frozen(database, model)
    assert merge(monkeypatch, database, store, model) == 2
    keep_for(database, model, 20)
    assert expire(database, store) == "1 segments with 20 rows went"
    with database.writing() as session:
        check_whole(session, held.body)  # it was frozen a moment ago
        session.execute(text("UPDATE snapshot SET created_at = :at"), {"at": START})
    assert expire(database, store) == "2 segments with 20 rows went"
    assert expire(database, store) == "0 segments with 0 rows went"
    with database.reading() as session:
        assert [one.rows for one in lost_of(session, held.body)] == [10, 10]


def test_what_is_kept_for_days_is_merged_with_its_neighbours_only(
    database, store, model, monkeypatch
):
    """Else a segment that grows by a few rows a day would take its first row along for ever."""
    for part in range(8):
        start = START + (part // 4) * 7 * DAY + timedelta(hours=2 * (part % 4))
        log(database, model, "predictions", f"{part}", predictions(part, 1, start=start))
        drain_model(database, store, model.id, now=NOW)
    keep_for(database, model, 20)
    assert merge(monkeypatch, database, store, model) == 4
    assert merge(monkeypatch, database, store, model) == 4
    assert merge(monkeypatch, database, store, model) == 0
    with database.reading() as session:
        spans = 'SELECT max("end" - start) FROM segment'
        assert session.execute(text(spans)).scalar_one() < DAY
    monkeypatch.setattr(log_upkeep, "find_retention", lambda *_given: None)
    assert merge(monkeypatch, database, store, model) == 2


def answer_of(database, store, model, tables, **columns):
    """Freeze the answer to a query, as a worker would have it; return the snapshot."""
    files = []
    for place, table in enumerate(tables):
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        blob = send_blob(store, io.BytesIO(buffer.getvalue()))
        files.append(FrozenFile(f"rows-{place}", blob.size, blob.digest, table.num_rows))
    source = FrozenSource("sql", "sql:house: SELECT 1", "house", Columns(**columns), tuple(files))
    body = SnapshotBody.of_source("flights", source, Interval(START, NOW))
    with database.writing() as session:
        parts = SourceParts(database, store, None)
        return keep_source(session, parts, model, body, actor=SYSTEM, now=NOW)


def test_frozen_answers_of_queries_lose_the_entity_and_other_sources_are_named(
    database, store, tmp_path, model
):
    theirs = pa.table({"who": [ENTITY, "ada", ENTITY], "time": [START] * 3, "label": [0, 1, 0]})
    others = pa.table({"who": ["ada", "eve"], "time": [START] * 2, "label": [1, 0]})
    held = answer_of(database, store, model, [theirs, others], entity="who")
    blind = answer_of(database, store, model, [others.drop_columns(["who"])])
    files = FrozenSource("parquet", "s3://house/rows", "house", Columns(), ())
    body = SnapshotBody.of_source("flights", files, Interval(START, NOW))
    with database.writing() as session:
        snapshots.keep(session, model, body, actor=SYSTEM, now=NOW)
    done = erase(database, store, tmp_path, model)
    assert (done.predictions, done.report["answers"], done.report["snapshots"]) == (0, 1, 1)
    assert done.report["remaining"] == [
        {"what": "frozen_answer", "name": blind.digest, "rows": None},
        {"what": "source", "name": "s3://house/rows", "rows": None},
    ]
    with database.reading() as session:
        (lost,) = lost_of(session, held.body)
        with pytest.raises(SnapshotLostError, match="2 rows erased by erasure 1"):
            check_whole(session, held.body)
        query = "SELECT digest FROM blob_reference WHERE kind = 'snapshot' AND owner = :owner"
        kept = session.execute(text(query), {"owner": held.digest}).scalars().all()
    assert (lost.digest, kept) == (held.body.blobs[0], [held.body.blobs[1]])


def test_nothing_found_in_lost_rows_is_written_down(database, store, tmp_path, model):
    log(database, model, "predictions", "a", about(predictions(0, 20)))
    drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        read = select_rows(session, model, Interval(START, NOW), NOW)
    with database.writing() as session:
        check_still_there(session, model.id, [read])
    erase(database, store, tmp_path, model)
    with database.writing() as session, pytest.raises(RowsLostError, match="looked at"):
        check_still_there(session, model.id, [read])


def test_a_check_that_read_before_says_nothing_of_it_after(
    database, store, tmp_path, model, monkeypatch
):
    log(database, model, "predictions", "a", about(predictions(0, 20)))
    drain_model(database, store, model.id, now=NOW)
    held, number = frozen(database, model), ask(database, model)
    declared = "model: flights\ninvariants:\n  - {name: warm, range: temp, min: 900}\n"
    with database.writing() as session:
        apply_invariants(session, declared, actor=SYSTEM, now=NOW)
        check = snapshot_checks.request_check(session, model, held.digest, actor=SYSTEM, now=NOW)
        session.execute(text("UPDATE job SET priority = 99 WHERE kind = 'erase'"))
    really, seen = snapshot_checks.check_rows, []

    def check_then_erase(*given):
        found = really(*given)
        seen.append(found[0].ids)
        await_true(lambda: ended(database, number).ended_at is not None)
        return found

    monkeypatch.setattr(snapshot_checks, "check_rows", check_then_erase)
    clock = FixedClock(NOW)
    with (
        worker(database, store, clock, tmp_path / "one"),
        worker(database, store, clock, tmp_path / "two"),
    ):
        await_true(lambda: state_of(database, check)[0] == "failed")
    assert "p000000" in seen[0]
    state, outcome, error = state_of(database, check)
    assert (state, outcome) == ("failed", None)
    assert "2 rows erased by erasure" in error


def state_of(database, number):
    with database.reading() as session:
        job = session.get_one(Job, number)
        return job.state, job.outcome, job.error


def test_the_audit_log_has_the_report_and_no_name(database, store, tmp_path, model):
    log(database, model, "predictions", "a", about(predictions(0, 20)))
    drain_model(database, store, model.id, now=NOW)
    frozen(database, model)
    erase(database, store, tmp_path, model)
    with database.reading() as session:
        query = "SELECT body FROM audit_entry WHERE action = 'log.erased'"
        body = json.loads(session.execute(text(query)).scalar_one())
    assert (body["predictions"], body["labels"], body["snapshots"]) == (2, 0, 1)
    assert len(body["lost"]) == 1
    assert ENTITY not in json.dumps(body)
