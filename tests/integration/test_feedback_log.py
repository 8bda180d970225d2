"""The feedback log from batch to joined rows, on a real database and a real store."""

from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from mlreg.controller.domain.batches import BatchConflictError, InvalidRowsError
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.profiles import (
    ensure_bins,
    find_bins,
    find_reference,
    merged_profile,
    profile_table,
    store_reference,
    window_profiles,
)
from mlreg.controller.services.snapshots import (
    counts_of,
    freeze,
    get_snapshot,
    read_snapshot,
)
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.tables import Contract, Model, Version
from tests.feedback_makers import (
    FEATURES,
    NOW,
    START,
    labels,
    make_model,
    make_store,
    predictions,
)
from tests.makers import make_version


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "artifacts")


@pytest.fixture
def model(database):
    return make_model(database)


def log(database, model, kind, batch_id, rows):
    with database.writing() as session:
        return accept(session, model, kind, batch_id, rows, now=NOW)


def joined(database, store, model, *, end=NOW, exclude=(), columns=None):
    with database.writing() as session:
        snapshot = freeze(
            session,
            model,
            start=START,
            end=end,
            labels_until=NOW,
            exclude=exclude,
            actor=SYSTEM,
            now=NOW,
        )
    return read_snapshot(store, snapshot.body, columns)


def waiting(database):
    with database.reading() as session:
        return session.execute(text("SELECT count(*) FROM waiting_batch")).scalar_one()


def test_batches_become_joined_rows(database, store, model):
    rows = predictions(0, 300)
    assert log(database, model, "predictions", "a", rows).rows == 300
    assert log(database, model, "labels", "a", labels(rows)).duplicate is False
    drained = drain_model(database, store, model.id, now=NOW)
    assert (drained.batches, drained.prediction_rows, drained.label_rows) == (2, 300, 300)
    table = joined(database, store, model)
    assert table.column_names == [
        *("prediction_id", "time", "version", "score", "label", "weight", "entity"),
        *(feature["name"] for feature in FEATURES),
    ]
    assert table["temp"].equals(rows["temp"])
    assert table["label"].to_pylist() == labels(rows)["label"].to_pylist()
    assert counts_of(table).labelled == 300
    assert waiting(database) == 2  # the current slot is emptied once the ring has turned


def test_a_batch_counts_once(database, store, model):
    rows = predictions(0, 10)
    first = log(database, model, "predictions", "a", rows)
    again = log(database, model, "predictions", "a", rows)
    assert (first.duplicate, again.duplicate, again.rows) == (False, True, 10)
    with pytest.raises(BatchConflictError, match="'a' of predictions"):
        log(database, model, "predictions", "a", predictions(10, 10))
    drain_model(database, store, model.id, now=NOW)
    assert log(database, model, "predictions", "a", rows).duplicate is True
    assert drain_model(database, store, model.id, now=NOW).batches == 0
    assert joined(database, store, model).num_rows == 10


def test_a_wrong_row_keeps_nothing(database, model):
    rows = predictions(0, 10)
    bad = rows.set_column(2, "score", pa.array([0.5] * 7 + [1.5] * 3))
    with pytest.raises(InvalidRowsError, match=r"column 'score', row 8: 1\.5 is not"):
        log(database, model, "predictions", "a", bad)
    assert waiting(database) == 0


def test_the_ring_turns_and_slots_are_emptied(database, store, model):
    for number in range(12):
        log(database, model, "predictions", f"b{number}", predictions(number * 10, 10))
        drain_model(database, store, model.id, now=NOW)
        assert waiting(database) <= 2
    assert joined(database, store, model).num_rows == 120


def test_a_snapshot_does_not_change_when_labels_come(database, store, model):
    rows = predictions(0, 50)
    log(database, model, "predictions", "a", rows)
    log(database, model, "labels", "a", labels(rows.slice(0, 20)))
    drain_model(database, store, model.id, now=NOW)
    with database.writing() as session:
        times = {"start": START, "end": NOW, "labels_until": NOW, "exclude": ()}
        snapshot = freeze(session, model, **times, actor=SYSTEM, now=NOW)
        again = freeze(session, model, **times, actor=SYSTEM, now=NOW + timedelta(1))
    assert again == snapshot
    log(database, model, "labels", "b", labels(rows))
    drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        found = get_snapshot(session, snapshot.digest)
    assert counts_of(read_snapshot(store, found.body)).labelled == 20
    assert counts_of(joined(database, store, model)).labelled == 50


def test_time_range_exclusions_and_columns(database, store, model):
    log(database, model, "predictions", "a", predictions(0, 300))
    drain_model(database, store, model.id, now=NOW)
    hour = timedelta(hours=1)
    table = joined(
        database,
        store,
        model,
        end=START + 10 * hour,
        exclude=[Interval(START + 2 * hour, START + 4 * hour)],
        columns=["temp", "label"],
    )
    assert table.column_names == ["temp", "label"]
    assert table.num_rows == 6 * 8


def test_hours_are_profiled_by_the_drain(database, store, model):
    contract = FeatureContract.from_json(FEATURES)
    rows = predictions(0, 600)
    with database.writing() as session:
        bins = ensure_bins(session, contract, rows, now=NOW)
        assert ensure_bins(session, contract, rows.slice(0, 5), now=NOW).digest == bins.digest
        stored = session.get(Model, model.id)
        session.add(Contract(digest=contract.digest, kind="feature", body=contract.to_document()))
        make_version(session, stored, 1)
        session.get(Version, (model.id, 1)).feature_contract = contract.digest
        store_reference(session, model.id, 1, contract.digest, profile_table(rows, bins))
    model.last_version = 1
    served = rows.append_column("version", pa.array([1] * 600))
    for batch, part in enumerate((served.slice(0, 333), served.slice(333))):
        log(database, model, "predictions", f"b{batch}", part)
        drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        hours = window_profiles(session, model.id, contract.digest, START, NOW)
        assert find_bins(session, contract.digest).digest == bins.digest
        reference = find_reference(session, model.id, 1)
    assert len(hours) == 100
    assert {hour.profile.rows for hour in hours} == {6}
    merged = merged_profile(hours)
    whole = profile_table(served, bins)
    assert (merged.counts == whole.counts).all()
    assert (merged.tallies == whole.tallies).all()
    assert (merged.extremes == whole.extremes).all()
    assert merged.column("carrier").unseen == sum(c == "ZZ" for c in rows["carrier"].to_pylist())
    assert reference.rows == 600


def segments(database, kind):
    with database.reading() as session:
        statement = text("SELECT count(*) FROM segment WHERE kind = :kind")
        return session.execute(statement, {"kind": kind}).scalar_one()


def test_small_segments_become_one(database, store, model):
    rows = predictions(0, 800)
    truth = labels(rows)
    for number in range(31):
        part = slice_of(rows, number), slice_of(truth, number)
        log(database, model, "predictions", f"b{number}", part[0])
        log(database, model, "labels", f"b{number}", part[1])
        drain_model(database, store, model.id, now=NOW)
    assert segments(database, "predictions") == segments(database, "labels") == 31
    with database.writing() as session:
        times = {"start": START, "end": NOW, "labels_until": NOW, "exclude": ()}
        old = freeze(session, model, **times, actor=SYSTEM, now=NOW)
    before = read_snapshot(store, old.body)
    log(database, model, "predictions", "last", rows.slice(620))
    log(database, model, "labels", "last", truth)
    drain_model(database, store, model.id, now=NOW)
    assert segments(database, "predictions") == segments(database, "labels") == 1
    table = joined(database, store, model)
    assert table["prediction_id"].to_pylist() == rows["prediction_id"].to_pylist()
    assert table["label"].to_pylist() == truth["label"].to_pylist()
    assert counts_of(table).superseded == 620
    assert read_snapshot(store, old.body).equals(before)
    with database.reading() as session:
        statement = text("SELECT count(*) FROM blob_reference WHERE kind = 'segment'")
        assert session.execute(statement).scalar_one() == 2


def slice_of(rows, number):
    return rows.slice(number * 20, 20)


def test_reading_a_day_of_a_large_segment_reads_its_part(database, store, model):
    rows = predictions(0, 60_000, step=timedelta(seconds=30))
    log(database, model, "predictions", "a", rows)
    log(database, model, "labels", "a", labels(rows))
    drain_model(database, store, model.id, now=NOW)
    table = joined(database, store, model, end=START + timedelta(days=1))
    assert table["prediction_id"].to_pylist() == rows["prediction_id"].to_pylist()[:2880]
    assert counts_of(table).labelled == 2880
    assert counts_of(table).unknown < 60_000 - 2880
