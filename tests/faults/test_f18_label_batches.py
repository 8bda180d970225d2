"""Fault 18: duplicated, late, corrected, out-of-order label batches; the same batch twice at once;
kill -9 of a drain, and several drains at once. Volume counts once, metrics are those of the truth.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import mannwhitneyu
from sqlalchemy import text

from mlreg.controller.domain.batches import InvalidRowsError
from mlreg.controller.services import compaction, draining
from mlreg.controller.services.draining import drain_model, reclaim_slots
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.profiles import ensure_bins, merged_profile, window_profiles
from mlreg.controller.services.small_batches import SmallBody, check_together, keep_together
from mlreg.controller.services.snapshots import counts_of, freeze, read_snapshot
from mlreg.controller.store.feedback import SLOTS
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

ROWS = 400
DELAY = timedelta(days=2)
LABELS_UNTIL = NOW - timedelta(days=1)
FAILPOINTS = [
    "drain_before_blob",
    "drain_after_blob",
    "drain_before_commit",
    "drain_after_commit",
    "drain_in_ring",
    "compact_before_blob",
    "compact_before_commit",
]
DRAIN = """
import sys
from datetime import datetime
from pathlib import Path
from mlreg.controller.services import compaction
from mlreg.controller.services.draining import drain_model
from mlreg.registry.store.database import Database
from tests.feedback_makers import make_store
url, folder, model, now = sys.argv[1:]
compaction.FEW_SEGMENTS = 2
drain_model(Database(url), make_store(Path(folder)), int(model), now=datetime.fromisoformat(now))
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def store(folder):
    return make_store(folder)


@pytest.fixture
def model(database):
    """A model with a version whose contract has bins, so that drains write profiles."""
    made = make_model(database, delay=DELAY)
    contract = FeatureContract.from_json(FEATURES)
    with database.writing() as session:
        ensure_bins(session, contract, predictions(0, ROWS), now=NOW)
        stored = session.get(Model, made.id)
        session.add(Contract(digest=contract.digest, kind="feature", body=contract.to_document()))
        make_version(session, stored, 1)
        session.get(Version, (made.id, 1)).feature_contract = contract.digest
        return stored


def served(first, count):
    return predictions(first, count).append_column("version", pa.array([1] * count))


def log(database, model, kind, batch_id, rows):
    with database.writing() as session:
        return accept(session, model, kind, batch_id, rows, now=NOW)


def joined(database, store, model):
    with database.writing() as session:
        snapshot = freeze(
            session, model, start=START, end=NOW, labels_until=LABELS_UNTIL, actor=SYSTEM, now=NOW
        )
    return read_snapshot(store, snapshot.body)


def profiled_rows(database, model):
    contract = FeatureContract.from_json(FEATURES).digest
    with database.reading() as session:
        profile = merged_profile(window_profiles(session, model.id, contract, START, NOW))
    return profile.rows if profile else 0


def shifted(rows, *, by, flip=False):
    """Return labels as they come later, perhaps corrected."""
    times = pa.array([t + by for t in rows["time"].to_pylist()], rows["time"].type)
    values = pa.array([1.0 - v if flip else v for v in rows["label"].to_pylist()])
    return pa.table({"prediction_id": rows["prediction_id"], "time": times, "label": values})


def label_batches(truth):
    """Return batches whose outcome is the truth, whatever the order in which they arrive."""
    strangers = truth.set_column(
        0, "prediction_id", pa.array([f"x{i}" for i in range(truth.num_rows)])
    )
    hour = timedelta(hours=1)
    return [
        shifted(truth.slice(0, 150), by=-hour / 2, flip=True),  # wrong, and corrected below
        truth.slice(0, 250),
        truth.slice(100),  # overlaps with the one before
        truth.slice(200, 100),
        shifted(truth.slice(50, 100), by=DELAY + hour, flip=True),  # too late to count
        strangers.slice(0, 30),  # of predictions that nobody logged
    ]


def auc(truth, scores):
    positive = truth == 1.0
    pairs = positive.sum() * (~positive).sum()
    return mannwhitneyu(scores[positive], scores[~positive]).statistic / pairs


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_arrival_changes_nothing(database, store, model, seed):
    rows = served(0, ROWS)
    truth = labels(rows)
    rng = np.random.default_rng(seed)
    parts = [("predictions", rows.slice(0, 250)), ("predictions", rows.slice(200))]
    parts += [("labels", batch) for batch in label_batches(truth)]
    order = rng.permutation(len(parts))
    for number, place in enumerate(order if seed % 2 else order[::-1]):
        kind, part = parts[place]
        shuffled = part.take(pa.array(rng.permutation(part.num_rows)))
        log(database, model, kind, f"b{place}", shuffled)
        assert log(database, model, kind, f"b{place}", shuffled).duplicate
        if number % 2 == seed % 2:
            drain_model(database, store, model.id, now=NOW)
    drain_model(database, store, model.id, now=NOW)
    table = joined(database, store, model)
    assert table["prediction_id"].to_pylist() == rows["prediction_id"].to_pylist()
    assert table["label"].to_pylist() == truth["label"].to_pylist()
    expected = auc(truth["label"].to_numpy(), rows["score"].to_numpy())
    assert auc(table["label"].to_numpy(), table["score"].to_numpy()) == expected
    counts = counts_of(table)
    assert (counts.rows, counts.duplicates, counts.labelled) == (ROWS, 50, ROWS)
    assert (counts.unknown, counts.late) == (30, 100)


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(minutes=30)])
def test_of_two_labels_the_later_stands_whichever_segment_it_lies_in(database, store, model, apart):
    """Its segment may begin before the other's; of one time the one that arrived last is later."""
    rows = served(0, 100)
    truth = labels(rows)
    log(database, model, "predictions", "p", rows)
    log(database, model, "labels", "wrong", shifted(truth.slice(50), by=-apart, flip=True))
    drain_model(database, store, model.id, now=NOW)
    log(database, model, "labels", "right", truth)
    drain_model(database, store, model.id, now=NOW)
    table = joined(database, store, model)
    assert table["label"].to_pylist() == truth["label"].to_pylist()
    assert counts_of(table).superseded == 50


def test_the_same_batch_at_once_counts_once(database, store, model):
    rows = served(0, ROWS)
    truth = labels(rows)
    log(database, model, "predictions", "p", rows)
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda _i: log(database, model, "labels", "same", truth), range(48))
        )
    assert sum(not answer.duplicate for answer in answers) == 1
    drain_model(database, store, model.id, now=NOW)
    with database.reading() as session:
        statement = text("SELECT sum(rows) FROM segment WHERE kind = 'labels'")
        assert session.execute(statement).scalar_one() == ROWS
    counts = counts_of(joined(database, store, model))
    assert (counts.labelled, counts.superseded) == (ROWS, 0)


def test_drains_at_once_do_it_once(database, store, model, monkeypatch):
    monkeypatch.setattr(compaction, "FEW_SEGMENTS", 3)
    batches = [served(first, 20) for first in range(0, ROWS, 20)]
    with ThreadPoolExecutor(6) as pool:
        for number, batch in enumerate(batches):
            log(database, model, "predictions", f"b{number}", batch)
            pool.submit(drain_model, database, store, model.id, now=NOW)
        done = [pool.submit(drain_model, database, store, model.id, now=NOW) for _ in range(6)]
    assert all(future.exception() is None for future in done)
    table = joined(database, store, model)
    assert table.num_rows == ROWS
    assert counts_of(table).duplicates == 0
    assert profiled_rows(database, model) == ROWS


def test_a_compaction_that_is_overtaken_gives_up(database, store, model, monkeypatch):
    monkeypatch.setattr(compaction, "FEW_SEGMENTS", 3)
    send = compaction.send_blob

    def overtaken(*arguments):
        monkeypatch.setattr(compaction, "send_blob", send)
        log(database, model, "predictions", "late", served(60, 20))
        drain_model(database, store, model.id, now=NOW)
        return send(*arguments)

    monkeypatch.setattr(compaction, "send_blob", overtaken)
    for number in range(3):
        log(database, model, "predictions", f"b{number}", served(number * 20, 20))
        drain_model(database, store, model.id, now=NOW)
    counts = counts_of(joined(database, store, model))
    assert (counts.rows, counts.duplicates) == (80, 0)


def kill_drain(database_url, folder, model, failpoint):
    """Run a drain in a process that dies at a failpoint; return how it ended."""
    words = [sys.executable, "-c", DRAIN, database_url, str(folder), str(model.id), NOW.isoformat()]
    roots = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "MLREG_FAILPOINT": failpoint, "PYTHONPATH": roots}
    return subprocess.run(words, env=environ, check=False).returncode


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_killed_drain_loses_nothing_and_doubles_nothing(
    database, database_url, folder, store, model, failpoint
):
    rows = served(0, ROWS)
    for number in range(4):  # with a segment there already, and the ring on its way
        log(database, model, "predictions", f"p{number}", rows.slice(number * 100, 100))
        if number < 2:
            drain_model(database, store, model.id, now=NOW)
    log(database, model, "labels", "l", labels(rows))
    assert kill_drain(database_url, folder, model, failpoint) == -signal.SIGKILL
    drain_model(database, store, model.id, now=NOW)
    counts = counts_of(joined(database, store, model))
    assert (counts.rows, counts.duplicates) == (ROWS, 0)
    assert (counts.labelled, counts.superseded) == (ROWS, 0)
    assert profiled_rows(database, model) == ROWS


def test_a_writer_that_is_slow_to_commit_is_not_emptied(database, store, model):
    """Its slot was left behind by the ring and drained while its bytes were not yet to be seen."""
    log(database, model, "predictions", "a", served(0, 10))
    with ThreadPoolExecutor(1) as pool, database.writing() as session:
        accept(session, model, "predictions", "b", served(10, 10), now=NOW)
        drain_model(database, store, model.id, now=NOW)  # the ring moves on
        emptying = pool.submit(reclaim_slots, database)  # waits for this writer
        time.sleep(0.2)
        assert not emptying.done()
    drain_model(database, store, model.id, now=NOW)
    assert joined(database, store, model).num_rows == 20


def test_nothing_that_waits_is_emptied_while_batches_pour_in(database, store, model):
    """Writers never stop while the ring turns: every acknowledged row is in the log at the end."""

    def write(writer):
        for number in range(12):
            first = (writer * 12 + number) * 10
            log(database, model, "predictions", f"w{writer}-{number}", served(first, 10))

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, writer) for writer in range(4)]
        while not all(writer.done() for writer in writers):
            drain_model(database, store, model.id, now=NOW)
    drain_model(database, store, model.id, now=NOW)
    assert joined(database, store, model).num_rows == 4 * 12 * 10


def log_small(database, model, kind, rows, first):
    """Log each row as a request of its own, in one group commit."""
    documents = rows.to_pylist()
    for row in documents:
        row["time"] = row["time"].isoformat()
    bodies = [
        SmallBody(json.dumps({"rows": [row]}).encode(), f"s{first + number}")
        for number, row in enumerate(documents)
    ]
    checked = check_together(model, kind, bodies, now=NOW)
    with database.writing() as session:
        return keep_together(session, model, kind, checked, now=NOW)


@pytest.mark.parametrize("failpoint", FAILPOINTS[:5])
def test_a_killed_drain_of_small_requests_loses_nothing_and_doubles_nothing(
    database, database_url, folder, store, model, failpoint
):
    rows = served(0, 60)
    for first in range(0, 60, 20):
        log_small(database, model, "predictions", rows.slice(first, 20), first)
    log_small(database, model, "labels", labels(rows), 0)
    assert kill_drain(database_url, folder, model, failpoint) == -signal.SIGKILL
    drain_model(database, store, model.id, now=NOW)
    again = log_small(database, model, "predictions", rows.slice(0, 20), 0)
    assert all(answer.duplicate for answer in again.values())
    drain_model(database, store, model.id, now=NOW)
    counts = counts_of(joined(database, store, model))
    assert (counts.rows, counts.duplicates) == (60, 0)
    assert (counts.labelled, counts.superseded) == (60, 0)
    assert profiled_rows(database, model) == 60


def test_small_requests_that_wait_are_not_emptied_when_the_ring_turns(database, store, model):
    """What they share lies under a number that no batch has."""
    rows = served(0, 20)
    log_small(database, model, "predictions", rows, 0)
    for _ in range(SLOTS + 1):
        reclaim_slots(database)
    drain_model(database, store, model.id, now=NOW)
    assert joined(database, store, model).num_rows == 20


def test_a_round_takes_small_requests_with_all_that_share_their_bytes(
    database, store, model, monkeypatch
):
    """A round that is bounded in the middle of a group must not drain its bytes twice."""
    monkeypatch.setattr(draining, "MAX_ROUND_BATCHES", 7)
    rows = served(0, 60)
    for first in range(0, 60, 20):
        log_small(database, model, "predictions", rows.slice(first, 20), first)
    drain_model(database, store, model.id, now=NOW)
    counts = counts_of(joined(database, store, model))
    assert (counts.rows, counts.duplicates) == (60, 0)
    with database.reading() as session:
        assert session.execute(text("SELECT sum(rows) FROM segment")).scalar_one() == 60


@pytest.mark.parametrize(
    ("offset", "taken"),
    [
        (timedelta(hours=23), True),  # a client's clock runs ahead: within a day it is kept
        (timedelta(hours=25), False),
        (-timedelta(days=900), True),  # behind, or history: kept
        (datetime(1969, 1, 1, tzinfo=UTC) - NOW, False),
    ],
)
def test_clocks_that_are_wrong_have_a_stated_answer(database, model, offset, taken):
    rows = served(0, 1)
    moved = rows.set_column(1, "time", pa.array([NOW + offset], rows["time"].type))
    if taken:
        assert log(database, model, "predictions", "a", moved).rows == 1
    else:
        with pytest.raises(InvalidRowsError, match=r"lies (in the future|before 1970)"):
            log(database, model, "predictions", "a", moved)
