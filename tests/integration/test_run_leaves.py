"""What a run leaves in the registry: its hold-out's metrics, its cost, its stage, its signature."""

import io
import json
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from mlreg.client.signing import generate_key, key_id
from mlreg.client.wire.signing import KeyRequest
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.services import decisions
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.services import catalog, search, signing, stages
from tests.api.test_doors import call
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def train(database, store, tmp_path, model):
    """Log a month, and run one full retrain; the worker is gone when it returns."""
    log_stream(database, model, START, 31)

    def run(*, key=None, **options):
        with worker(database, store, FixedClock(NOW), tmp_path / "work", signing_key=key):
            return await_end(database, ask(database, now=NOW, **options))

    return run


def version_of(database, run):
    assert run.state == "succeeded", log_of(database, run.id)
    with database.reading() as session:
        return catalog.get_version(session, catalog.get_model(session, "flights"), run.version)


def found(database, query):
    with database.reading() as session:
        return [one.version.number for one in search.search(session, query, models=None).items]


def test_a_run_registers_the_metrics_of_its_hold_out_and_a_search_finds_them(database, train):
    run = train()
    made = version_of(database, run)
    with database.reading() as session:
        decision = decisions.get_decision(session, run.decision_id)
    judged = decision.evidence["metrics"]["challenger"]
    measured = {name: made.metrics[name] for name in judged}
    assert measured == pytest.approx(judged), "the judge reads the same rows"
    assert made.tags["measured_on"] == run.evaluate_snapshot != run.snapshot
    assert made.metrics["holdout_rows"] == decision.evidence["rows"] > 0
    assert found(database, f"metric.auc>={measured['auc'] - 0.001:.4f}") == [1]
    assert found(database, f"metric.auc>={measured['auc'] + 0.001:.4f}") == []
    assert found(database, f"tag.measured_on={run.evaluate_snapshot}") == [1]


def test_without_a_hold_out_a_run_says_nothing_of_quality(database, store, train):
    promote_by_hand(database, train().version, now=NOW, actor=PERSON)
    seen = DataRule(train_window=10 * DAY, evaluate_window=timedelta(days=1), label_delay=12 * DAY)
    run = train(data=seen)
    assert run.evaluate_snapshot is None, "the champion was trained on these days"
    made = version_of(database, run)
    assert not {"auc", "log_loss", "brier", "holdout_rows"} & set(made.metrics)
    assert "measured_on" not in made.tags
    shown = shown_stage(database, store, made)
    assert {file.name for file in shown.files} == {
        "hyperparameters.json", "loss_curve.csv", "training.log",
    }  # fmt: skip
    assert [curve.name for curve in shown.curves["loss_curve.csv"]] == ["train log_loss"]


def shown_stage(database, store, made):
    with database.reading() as session:
        files = stages.list_stage(session, made)
    return stages.read_stage(store, files)


def test_a_run_fills_what_it_cost_and_archives_its_stage(api, database, store, train):
    run = train()
    made = version_of(database, run)
    assert 0 < made.duration_seconds < 60
    assert 20 * 2**20 < made.peak_memory_bytes < 2**32
    shown = shown_stage(database, store, made)
    assert {file.name: file.kind for file in shown.files} == {
        "holdout.parquet": "predictions",
        "hyperparameters.json": "other",
        "loss_curve.csv": "loss_curve",
        "training.log": "log",
    }
    content = {file.name: read_blob(store, file.digest, max_bytes=2**22) for file in shown.files}
    kept = pq.read_table(io.BytesIO(content["holdout.parquet"]))
    assert kept.column_names == ["prediction_id", "time", "label", "weight", "score"]
    assert len(kept) == made.metrics["holdout_rows"]
    assert b"trained 20 trees" in content["training.log"]
    assert json.loads(content["hyperparameters.json"])["params"]["num_leaves"] == 7
    train_loss, holdout_loss = shown.curves["loss_curve.csv"]
    assert (train_loss.name, holdout_loss.name) == ("train log_loss", "holdout log_loss")
    assert train_loss.points[-1][0] == 20, "the last point is the whole model"
    assert holdout_loss.last == pytest.approx(made.metrics["log_loss"])
    assert train_loss.last < train_loss.points[0][1]
    _, _, page = call(api, "GET", "/models/flights/versions/1")
    assert b"holdout log_loss" in page
    assert b"<polyline" in page


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "worker.key"
    return file, generate_key(file)


def trust(database, public, **options):
    with database.writing() as session:
        request = KeyRequest(name="worker", public_key=public, **options)
        signing.add_key(session, request, actor=PERSON, now=NOW)


def require(database):
    with database.writing() as session:
        signing.require_signatures(session, "flights", required=True, actor=PERSON, now=NOW)


def signers(database, made):
    with database.reading() as session:
        return [key.id for _, key in signing.list_signatures(session, made)]


def test_a_worker_with_a_key_signs_what_it_registers(database, train, key):
    file, public = key
    trust(database, public, models=["flights"])
    require(database)
    made = version_of(database, train(key=file))
    assert signers(database, made) == [key_id(public)]


def test_a_worker_without_a_key_fails_where_signatures_are_required(database, train):
    require(database)
    run = train()
    assert run.state == "failed"
    assert "takes signed versions only" in run.error
    assert run.version is None


def test_a_key_that_nobody_trusts_signs_nothing_and_the_run_says_so(database, train, key):
    run = train(key=key[0])
    assert signers(database, version_of(database, run)) == []
    assert any("not signed" in line and "not trusted" in line for line in log_of(database, run.id))
