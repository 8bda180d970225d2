"""Parity over HTTP and from the command line: predictions of a real model, logged and replayed."""

import json
import os
import threading
from datetime import timedelta

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from mlreg.client.errors import NotFoundError, RefusedError, RunFailedError
from mlreg.client.scoring.encoding import encode
from mlreg.client.wire.models import FeatureForm
from mlreg.client.wire.parity import ParityRequest
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.controller.api import monitors, parity
from mlreg.controller.executors.local import LocalExecutor
from mlreg.controller.services import claims, feedback, parity_chore, replaying
from mlreg.controller.services import parity as service
from mlreg.controller.services.attempt import Attempt
from mlreg.controller.services.chore import ChoreRoom
from mlreg.controller.services.draining import drain_model
from mlreg.controller.store.jobs import find_job
from mlreg.controller.trainers.child import train
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import deployments
from mlreg.registry.store import tables
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.faults.workers import job_state
from tests.feedback_makers import FEATURES as SCHEMA
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    make_model,
    promote_by_hand,
    stream,
)

TRAINED = START + 32 * DAY
DAY_OF_ROWS = START + 33 * DAY
NOW = START + 34 * DAY + timedelta(hours=5)
ALLOWED = ["git", "data", "hyperparameters", "seeds", "environment", "trainer", "lane"]
FEATURES = ("temp", "hour", "carrier", "rain")


@pytest.fixture
def extra_routers():
    return (parity.router, monitors.router)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of some days of the stream."""
    folder = tmp_path_factory.mktemp("trained")
    rows, labels = stream(START, 20)
    pq.write_table(rows.append_column("label", labels["label"]), folder / "rows.parquet")
    job = {
        "format": 1,
        "data": ["rows.parquet"],
        "target": {"task": "binary"},
        "schema": SCHEMA,
        "params": {"num_leaves": 7, "min_data_in_leaf": 20, "objective": "binary"},
        "rounds": 20,
    }
    (folder / "job.json").write_text(json.dumps(job))
    train(folder)
    assert json.loads((folder / "result.json").read_text())["outcome"] == "trained"
    return folder


@pytest.fixture(scope="module")
def executor():
    executor = LocalExecutor(dict(os.environ))
    yield executor
    executor.close()


class Served:
    """A champion, and what it says of rows."""

    def __init__(self, database, store, folders, client):
        trained, self.folder = folders
        self.database, self.store, self.client = database, store, client
        self.model = make_model(database)
        result = json.loads((trained / "result.json").read_text())
        self.contract = result["contract"]
        forms = [FeatureForm(**form) for form in self.contract["features"]]

        def request(files):
            return VersionRequest(
                files=files, provenance=ProvenanceForm(contract=forms), allow_missing=ALLOWED
            )

        client.versions.register("flights", trained / "out", request)
        promote_by_hand(database, 1, now=TRAINED, actor=PERSON)
        self.booster = lightgbm.Booster(model_file=str(trained / "out" / "model.txt"))

    def score(self, rows):
        return self.booster.predict(encode(self.contract, rows).matrix, num_threads=1)

    def rows(self, *, version=1, off=None):
        """A day of rows with this version's scores; `off` changes them."""
        rows, _ = stream(DAY_OF_ROWS, 1)
        scores = self.score(rows)
        if off is not None:
            scores = off(scores)
        place = rows.column_names.index("score")
        rows = rows.set_column(place, "score", pa.array(scores))
        return rows.append_column("version", pa.array([version] * len(rows), pa.int32()))

    def log(self, rows, batch="served"):
        with self.database.writing() as session:
            model = session.get_one(tables.Model, self.model.id)
            feedback.accept(session, model, "predictions", batch, rows, now=NOW)

    def work(self):
        """Do one replay as a worker would; return how it ended."""
        lease = claims.claim(self.database, "test", [service.KIND], 30.0)
        attempt = Attempt(
            lease,
            self.database,
            self.store,
            FixedClock(NOW),
            self.executor,
            self.folder / "work",
            threading.Event(),
        )
        service.HANDLER.perform(attempt)
        return job_state(self.database, lease.job_id)[0]

    def replay(self, **options):
        request = ParityRequest(start=DAY_OF_ROWS, **options)
        asked = self.client.parity.check("flights", request)
        assert (asked.state, asked.found) == ("queued", None)
        assert self.work() == "succeeded"
        return self.client.parity.wait(asked.number)

    def offline(self, rows):
        file = self.folder / "offline.parquet"
        pq.write_table(rows, file)
        return self.client.parity.upload(file)

    def readings(self, monitor):
        found = self.client.monitors.readings("flights", monitor=monitor)
        return {one.subject: one for one in found}


@pytest.fixture
def served(database, store, tmp_path, client, trained, executor):
    served = Served(database, store, (trained, tmp_path), client)
    served.executor = executor
    return served


def changed(rows, name, values):
    place = rows.column_names.index(name)
    return rows.set_column(place, name, pa.array(values, rows[name].type))


def test_a_model_that_is_served_as_it_was_stored_has_parity(served):
    served.log(served.rows())
    found = served.replay()
    assert (found.version, found.rows, found.differ, found.share) == (1, 200, 0, 0.0)
    assert found.largest < 1e-12
    assert found.online.p99 == pytest.approx(found.offline.p99)
    assert found.examples == []
    reading = served.readings("parity")[""]
    assert (reading.value, reading.rows, reading.verdict) == (0.0, 200, "normal")
    assert reading.start == DAY_OF_ROWS
    assert reading.low == 0.0 < reading.high < 0.02


def test_scores_that_another_model_gave_are_found(served):
    rng = np.random.default_rng(1)
    wrong = rng.random(200) < 0.25
    served.log(served.rows(off=lambda scores: np.where(wrong, np.clip(scores + 0.1, 0, 1), scores)))
    found = served.replay()
    assert found.differ == wrong.sum()
    assert found.low < found.share == wrong.mean() < found.high
    assert found.largest == pytest.approx(0.1)
    assert len(found.examples) == 5
    assert {int(one.split("-")[1]) for one in found.examples} <= set(np.flatnonzero(wrong))
    assert found.online.mean > found.offline.mean
    reading = served.readings("parity")[""]
    assert (reading.verdict, reading.evidence["at_most"]) == ("unusual", 0.001)
    assert reading.evidence["examples"] == found.examples
    again = served.replay(tolerance=0.2)
    assert again.differ == 0


def test_only_rows_of_the_version_with_a_score_are_replayed(served):
    rows = served.rows()
    served.log(rows[:50].drop_columns(["version"]), "unsaid")
    served.log(changed(rows[50:80], "score", [None] * 30), "unscored")
    served.log(rows[80:], "said")
    served.log(rows[80:90], "said-twice")
    assert served.replay().rows == 120
    small = served.replay(rows=40)
    assert small.rows == 40


def test_what_an_offline_table_has_otherwise_is_named_by_feature(served):
    rows = served.rows()
    served.log(rows)
    temps = rows["temp"].to_pylist()
    other = changed(rows, "temp", [t + 40.0 if n < 20 else t for n, t in enumerate(temps)])
    other = changed(other, "carrier", [None] * 3 + rows["carrier"].to_pylist()[3:])
    other = other.select(["prediction_id", "temp", "carrier", "rain", "score"]).slice(0, 150)
    found = served.replay(offline=served.offline(other))
    assert found.differ == 0
    skew = found.skew
    assert (skew.rows, skew.unmatched, skew.unknown) == (150, 50, ["score"])
    temp, carrier, rain = skew.features
    assert (temp.feature, temp.differ, temp.rows, temp.share) == ("temp", 20, 150, 20 / 150)
    assert temp.mean_difference == pytest.approx(-40 * 20 / 150)
    assert temp.rescored == 20
    assert temp.score_shift > 0.05
    assert (carrier.differ, carrier.offline_nulls) == (3, pytest.approx(3 / 150))
    assert 0 < carrier.score_differs <= 1
    assert (rain.differ, rain.rescored, rain.score_shift) == (0, 0, None)
    assert skew.scores.p50 != found.offline.p50
    readings = served.readings("skew")
    assert set(readings) == {"temp", "carrier", "rain"}
    assert readings["temp"].verdict == "unusual"
    assert readings["rain"].verdict == "normal"
    assert readings["temp"].value == 20 / 150


def test_the_effect_of_a_feature_is_what_the_model_says(served):
    """Seen from outside: only the skewed feature changes the score, and by as much as said."""
    rows = served.rows()
    served.log(rows)
    warmer = changed(rows, "temp", [t + 12.0 for t in rows["temp"].to_pylist()])
    found = served.replay(offline=served.offline(warmer.select(["prediction_id", *FEATURES])))
    (temp, *others) = found.skew.features
    expected = served.score(warmer)
    logged = served.score(rows)
    assert temp.score_shift == pytest.approx(float(np.abs(expected - logged).mean()))
    assert found.skew.scores.p50 == pytest.approx(float(np.median(expected)))
    assert all(one.rescored == 0 for one in others)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda rows: rows.drop_columns(["prediction_id"]), "has no such column"),
        (lambda rows: pa.concat_tables([rows, rows[:1]]), "has one twice"),
        (lambda rows: rows.select(["prediction_id"]), "has no feature of the model"),
        (lambda rows: changed_type(rows, "temp", pa.bool_()), "'temp': it is bool, where"),
        (lambda _rows: None, "is not readable as"),
    ],
)
def test_an_offline_table_that_is_none_is_refused(served, make, said):
    rows = served.rows()
    served.log(rows)
    table = make(rows)
    if table is None:
        file = served.folder / "broken.parquet"
        file.write_bytes(b"PAR1" + b"x" * 100)
        digest = served.client.parity.upload(file)
    else:
        digest = served.offline(table)
    served.client.parity.check("flights", ParityRequest(start=DAY_OF_ROWS, offline=digest))
    with pytest.raises(InvalidError, match=said):
        served.work()
    assert served.readings("parity") == {}


def changed_type(rows, name, kind):
    place = rows.column_names.index(name)
    return rows.set_column(place, name, rows[name].cast(kind))


def test_what_cannot_be_replayed_is_refused(served, database):
    with pytest.raises(NotFoundError):
        served.client.parity.check("flights", ParityRequest(version=9))
    with pytest.raises(NotFoundError) as caught:
        served.client.parity.get(99)
    assert caught.value.code == "parity_not_found"
    served.client.environments.create("staging")
    with pytest.raises(RefusedError) as refused:
        served.client.parity.check("flights", ParityRequest(environment="staging"))
    assert refused.value.code == "nothing_to_replay"
    asked = served.client.parity.check("flights", ParityRequest(start=DAY_OF_ROWS))
    with pytest.raises(service.NothingToReplayError, match="names version 1 and has a score"):
        served.work()
    with database.writing() as session:
        job = find_job(session, asked.number)
        job.state, job.error = "failed", "nothing to replay"
        session.add(job)
    with pytest.raises(RunFailedError, match="nothing to replay"):
        served.client.parity.wait(asked.number)
    with database.writing() as session:
        session.get_one(tables.Version, (served.model.id, 1)).flavour = "opaque"
    with pytest.raises(RefusedError) as refused:
        served.client.parity.check("flights")
    assert refused.value.code == "not_loadable"


def test_each_champion_is_replayed_once_a_day(served, database, store):
    room = ChoreRoom(database, store, NOW)
    assert parity_chore.replay_yesterday(room) == "0 champions are replayed"
    served.log(served.rows())
    drain_model(database, store, served.model.id, now=NOW)
    assert parity_chore.replay_yesterday(room) == "1 champions are replayed"
    assert parity_chore.replay_yesterday(room) == "0 champions are replayed"  # it waits already
    assert served.work() == "succeeded"
    assert served.readings("parity")[""].rows == 200
    later = ChoreRoom(database, store, NOW + DAY)
    assert parity_chore.replay_yesterday(later) == "0 champions are replayed"  # nothing was logged


@pytest.mark.parametrize(
    ("trainer", "run", "daily"),
    [
        ("sklearn/1.8.0", 7, 1),
        ("own/2", 7, 1),
        ("command/octave", 7, 0),
        ("sklearn/1.8.0", None, 0),
    ],
)
def test_what_a_trainer_made_is_replayed_daily_but_no_command(
    served, database, store, trainer, run, daily
):
    with database.writing() as session:
        version = session.get_one(tables.Version, (served.model.id, 1))
        version.flavour, version.trainer, version.run_id = "generic", trainer, run
    served.log(served.rows())
    drain_model(database, store, served.model.id, now=NOW)
    room = ChoreRoom(database, store, NOW)
    assert parity_chore.replay_yesterday(room) == f"{daily} champions are replayed"


def test_a_day_without_scored_rows_is_no_failure(served, database, store):
    served.log(served.rows().drop_columns(["version"]))
    drain_model(database, store, served.model.id, now=NOW)
    parity_chore.replay_yesterday(ChoreRoom(database, store, NOW))
    assert served.work() == "succeeded"
    assert served.readings("parity") == {}


def test_from_the_command_line(cli, served, tmp_path):  # noqa: F811 - the fixture
    rows = served.rows()
    served.log(rows)
    offline = tmp_path / "features.parquet"
    pq.write_table(
        changed(rows, "temp", [t + 40.0 for t in rows["temp"].to_pylist()]).select(
            ["prediction_id", "temp"]
        ),
        offline,
    )
    stop = threading.Event()

    def serve():
        while not stop.wait(0.05):
            if waiting(served.database):
                served.work()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        day = f"{DAY_OF_ROWS:%Y-%m-%d}"
        plain = cli("parity", "flights", "--window", day, "--wait")
        compared = cli("parity", "flights", "--window", day, "--offline", offline, "--wait")
        form = json.loads(cli("parity", "flights", "--window", day, "--wait", "--json"))
    finally:
        stop.set()
        thread.join()
    assert "0 of 200 rows (0.00%) score differently" in plain
    assert "offline" in plain
    assert "temp" in compared
    assert "100.00%" in compared
    assert form["rows"] == 200
    assert "is queued" in cli("parity", "flights")
    for said in (plain, compared):
        assert all(len(line) <= 80 for line in said.splitlines())


def waiting(database):
    with database.reading() as session:
        query = "SELECT 1 FROM job WHERE kind = 'parity' AND state = 'queued'"
        return session.execute(text(query)).first() is not None


def test_replays_are_bounded(served, monkeypatch):
    monkeypatch.setattr(replaying, "MAX_SWAPPED", 7)
    monkeypatch.setattr(replaying, "MAX_FEATURES", 1)
    rows = served.rows()
    served.log(rows)
    other = changed(rows, "temp", [t + 40.0 for t in rows["temp"].to_pylist()])
    other = changed(other, "rain", [not one for one in rows["rain"].to_pylist()])
    found = served.replay(offline=served.offline(other))
    assert sorted(one.rescored for one in found.skew.features) == [0, 0, 0, 7]


@pytest.fixture
def classes(served):
    """The model with three classes: what it says of rows, and its log."""
    with served.database.writing() as session:
        model = session.get_one(tables.Model, served.model.id)
        target = TargetContract.from_json({"task": "multiclass", "classes": ["a", "b", "c"]})
        model.task, model.target_contract = "multiclass", target.to_json()
    rows, _ = stream(START, 5)
    rng = np.random.default_rng(3)
    parameters = {"objective": "multiclass", "num_class": 3, "num_leaves": 7, "verbosity": -1}
    matrix = encode(served.contract, rows).matrix
    labels = (matrix[:, 0] > 20) + rng.integers(0, 2, len(matrix))
    learnt = lightgbm.Dataset(matrix, labels, feature_name=list(FEATURES))
    served.booster = lightgbm.train(parameters, learnt, 5)
    folder = served.folder / "classes"
    folder.mkdir()
    served.booster.save_model(folder / "model.txt")
    forms = [FeatureForm(**form) for form in served.contract["features"]]
    provenance = ProvenanceForm(contract=forms)
    served.client.versions.register(
        "flights",
        folder,
        lambda files: VersionRequest(files=files, provenance=provenance, allow_missing=ALLOWED),
    )
    with served.database.writing() as session:
        change = deployments.Change("flights", "production", PERSON, "three classes")
        deployments.promote(session, change, version=2, force=True, now=TRAINED)
    return served


def class_rows(served, scores=None):
    rows, _ = stream(DAY_OF_ROWS, 1)
    scores = served.score(rows) if scores is None else scores
    rows = rows.drop_columns(["score"]).append_column("scores", pa.array(scores.tolist()))
    return rows.append_column("version", pa.array([2] * len(rows), pa.int32()))


def test_a_row_of_classes_differs_where_any_of_its_scores_does(classes):
    scores = classes.score(stream(DAY_OF_ROWS, 1)[0])
    swapped = scores.copy()
    swapped[:30] = scores[:30][:, [1, 0, 2]]
    rows = class_rows(classes, swapped)
    classes.log(rows)
    classes.log(rows.drop_columns(["scores"]).slice(0, 5), "without")  # logged already
    found = classes.replay()
    apart = np.abs(swapped - scores).max(axis=1)
    assert (found.version, found.rows, found.differ) == (2, 200, int((apart > 1e-6).sum()))
    assert found.differ >= 20
    assert found.largest == pytest.approx(apart.max())
    assert found.examples[0] == rows["prediction_id"][int(apart.argmax())].as_py()
    assert found.value == "confidence"
    assert found.offline.p50 == pytest.approx(np.median(scores.max(axis=1)))
    assert classes.readings("parity")[""].verdict == "unusual"


def test_what_a_feature_does_to_scores_of_classes(classes):
    rows = class_rows(classes)
    classes.log(rows)
    warmer = changed(rows, "temp", [t + 12.0 for t in rows["temp"].to_pylist()])
    found = classes.replay(offline=classes.offline(warmer.select(["prediction_id", *FEATURES])))
    assert found.differ == 0
    expected = np.abs(classes.score(warmer) - classes.score(rows)).max(axis=1)
    assert found.skew.features[0].score_shift == pytest.approx(float(expected.mean()))


def test_a_champion_of_classes_is_replayed_daily_and_another_version_is_refused(classes):
    classes.log(class_rows(classes))
    drain_model(classes.database, classes.store, classes.model.id, now=NOW)
    room = ChoreRoom(classes.database, classes.store, NOW)
    assert parity_chore.replay_yesterday(room) == "1 champions are replayed"
    assert classes.work() == "succeeded"
    with classes.database.writing() as session:
        model = session.get_one(tables.Model, classes.model.id)
        target = TargetContract.from_json({"task": "binary"})
        model.task, model.target_contract = "binary", target.to_json()
    scored = stream(DAY_OF_ROWS, 1)[0]
    scored = changed(scored, "prediction_id", [f"x{n}" for n in range(len(scored))])
    classes.log(scored.append_column("version", pa.array([2] * len(scored), pa.int32())), "one")
    classes.client.parity.check("flights", ParityRequest(start=DAY_OF_ROWS))
    with pytest.raises(replaying.OtherClassesError, match="version 2 answers 3 scores for a row"):
        classes.work()
