"""Explanations over HTTP and from the command line: of labelled windows, of others, of bad ones."""

import json

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlmodel import select

from mlreg.client.errors import NotAllowedError, NotFoundError, RefusedError
from mlreg.client.wire.explanations import ExplainRequest
from mlreg.controller.api import explanations, monitors, policies
from mlreg.controller.domain.losses import RowsLostError
from mlreg.controller.services import erasing, explaining
from mlreg.controller.store.tables import Job
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import audit, uploads
from mlreg.registry.store import tables
from tests.api.test_automation import cli  # noqa: F401 - a fixture
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation, labels_of, rows_of
from tests.feedback_makers import FEATURES
from tests.run_makers import executor_of_all

EXPLAIN = (explaining.KIND, explaining.HANDLER)
NAMES = [feature["name"] for feature in FEATURES]


@pytest.fixture
def extra_routers():
    return (policies.router, monitors.router, explanations.router)


@pytest.fixture
def automation(database, store, tmp_path):
    automation = Automation(database, store, policy=POLICY)
    automation.folder = tmp_path / "work"
    automation.executor = executor_of_all()
    give_model(automation, tmp_path / "artifact")
    return automation


def give_model(automation, folder, **parameters):
    """Give version 1 a model that scores by the temperature."""
    table, values = rows_of(START - 30 * DAY, rows=2_000)
    matrix = np.column_stack(
        [
            table["temp"].to_numpy(),
            table["hour"].to_numpy(),
            pa.compute.index_in(table["carrier"], pa.array(["AA", "UA"])).to_numpy(),
            table["rain"].to_numpy(zero_copy_only=False),
        ]
    ).astype(float)
    rows = lightgbm.Dataset(matrix, values, feature_name=NAMES, categorical_feature=[2])
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7}
    folder.mkdir()
    booster = lightgbm.train(params | parameters, rows, 20)
    (folder / "model.txt").write_text(booster.model_to_string())
    with automation.database.writing() as session:
        manifest = uploads.store_folder(session, automation.store, folder, now=START)
        session.add(
            tables.Manifest(
                digest=manifest.digest, body=manifest.body, total_size=1, created_at=START
            )
        )
        session.flush()
        version = session.get_one(tables.Version, (automation.model.id, 1))
        version.manifest_digest, version.flavour = manifest.digest, "lightgbm-text"


def log_day(automation, day, *, bad=True, labelled=True, rows=2_400, shift=0.0, entity=None):
    """Log a day; in a bad one the labels of UA in the rain are the other way round.

    `entity` says whom a row is about, by its temperature.
    """
    table, values = rows_of(day, rows=rows)
    planted = np.array(table["carrier"]) == "UA"
    planted &= np.array(table["rain"])
    if shift:
        scores = np.clip(table["score"].to_numpy() + shift * planted, 0.01, 0.99)
        table = table.set_column(table.column_names.index("score"), "score", pa.array(scores))
    if bad:
        likely = table["score"].to_numpy() > 0.5
        values = np.where(planted, ~likely, values).astype(float)
    if entity is not None:
        names = [entity(temp) for temp in table["temp"].to_pylist()]
        table = table.append_column("entity", pa.array(names))
    automation.accept("predictions", f"p{day:%Y%m%d}", table, day + 23 * HOUR)
    if labelled:
        labels = labels_of(table, values)
        automation.accept("labels", f"l{day:%Y%m%d}", labels, day + 23 * HOUR)
    automation.pass_to(day + DAY + HOUR)


def done(automation, client, request=None):
    asked = client.explanations.request("flights", request)
    assert (asked.state, asked.found) == ("queued", None)
    assert automation.work(EXPLAIN) == ["explain"]
    return client.explanations.wait(asked.number).found


def where(one):
    return {(part.feature, part.text) for part in one.conditions}


PLANTED = {("carrier", "= UA"), ("rain", "= true")}


def test_the_planted_slice_what_features_add_and_rows_to_look_at(client, automation):
    log_day(automation, START)
    found = done(automation, client)
    assert (found.by, found.value, found.start, found.end) == (
        "loss", "log_loss", START, START + DAY,
    )  # fmt: skip
    assert (found.rows, found.labelled, found.before) == (2_400, 2_400, None)
    planted = found.slices[0]
    assert (planted.kind, where(planted)) == ("wrong", PLANTED)
    assert [one.kind for one in found.slices].count("wrong") == 1
    assert planted.low > 0.2
    assert planted.mean > planted.rest + 0.3
    assert planted.mean > planted.promised + 0.3
    assert planted.rest == pytest.approx(planted.promised, abs=0.15)
    assert planted.share == planted.rows / 2_400
    assert found.looked_at > 50
    assert found.confined > 0  # each hour of the feature `hour` is one hour of the day
    added = found.contributions
    assert (added.version, added.groups, added.split) == (1, ("wrong", "right"), "decision")
    assert added.rows[0] >= 300
    assert max(added.features, key=lambda one: one.second).feature == "temp"
    assert [one.feature for one in added.features] != []
    assert len(found.worst) == 10
    losses = [one.loss for one in found.worst]
    assert losses == sorted(losses, reverse=True)
    first = found.worst[0]
    assert first.loss == pytest.approx(-np.log(first.score if first.label else 1 - first.score))
    assert first.features == {}


def test_a_good_day_has_hard_slices_and_no_wrong_one(client, automation):
    log_day(automation, START, bad=False)
    found = done(automation, client, ExplainRequest(start=START, worst=0))
    assert {one.kind for one in found.slices} == {"hard"}
    assert all("temp" in dict(where(one)) for one in found.slices)  # where scores are about a half
    for one in found.slices:
        assert one.mean == pytest.approx(one.promised, abs=0.05)
    assert found.worst == []
    assert found.contributions is not None


def test_values_of_features_are_kept_only_if_they_are_asked_for(client, automation, api):
    log_day(automation, START)
    asked = ExplainRequest(start=START, days=1, worst=3, show=["temp", "carrier"])
    found = done(automation, client, asked)
    assert [sorted(one.features) for one in found.worst] == [["carrier", "temp"]] * 3
    assert found.worst[0].features["carrier"] in {"AA", "UA"}
    with automation.database.reading() as session:
        entry = session.exec(
            select(tables.AuditEntry).where(tables.AuditEntry.action == "explanation.request")
        ).one()
        assert json.loads(entry.body)["show"] == ["temp", "carrier"]
        assert audit.verify(session).first_bad is None
    viewer = client.tokens.create("eve", role="viewer").token
    with api.client(viewer) as eve:
        seen = eve.explanations.list("flights").items[0].found
        assert (seen.slices, seen.worst) == (found.slices, [])
        assert "data.read" in seen.notes[-1]
        with pytest.raises(NotAllowedError):
            eve.explanations.request("flights", asked)
    with pytest.raises(RefusedError, match="no feature 'snow'"):
        client.explanations.request("flights", ExplainRequest(show=["snow"]))


def test_rows_are_forgotten_when_they_are_erased(client, automation):
    log_day(automation, START, rows=2_400, entity=lambda temp: "ada" if temp < 15 else "eve")
    found = done(automation, client)
    table, _ = rows_of(START, rows=2_400)
    cold = pc.less(table["temp"], 15)
    hers = set(table.filter(cold)["prediction_id"].to_pylist())
    others = [one for one in found.worst if one.prediction_id not in hers]
    assert 0 < len(others) < len(found.worst)
    with automation.database.writing() as session:
        model = session.get_one(tables.Model, automation.model.id)
        erasing.request_erasure(session, model, "ada", "she asked", actor=SYSTEM, now=START)
    assert automation.work((erasing.KIND, erasing.HANDLER)) == ["erase"]
    (kept,) = client.explanations.list("flights").items
    assert kept.found.worst == others
    assert where(kept.found.slices[0]) == PLANTED


def test_an_explanation_of_rows_that_are_erased_meanwhile_is_not_written(
    client, automation, monkeypatch
):
    log_day(automation, START, rows=2_400, entity=lambda temp: "ada" if temp < 15 else "eve")
    client.explanations.request("flights")
    explained = explaining.explain

    def explain_then_erase(*given):
        found = explained(*given)
        with automation.database.writing() as session:
            model = session.get_one(tables.Model, automation.model.id)
            erasing.request_erasure(session, model, "ada", "she asked", actor=SYSTEM, now=START)
        assert automation.work((erasing.KIND, erasing.HANDLER)) == ["erase"]
        return found

    monkeypatch.setattr(explaining, "explain", explain_then_erase)
    with pytest.raises(RowsLostError):
        automation.work(EXPLAIN)
    (kept,) = client.explanations.list("flights").items
    assert kept.found is None


def test_without_labels_it_is_about_the_drift_of_the_score(client, automation):
    for number in range(3):
        log_day(automation, START + number * DAY, bad=False, labelled=False, rows=2_400)
    log_day(automation, START + 3 * DAY, labelled=False, shift=0.25, rows=2_400)
    found = done(automation, client)
    assert (found.by, found.value, found.labelled) == ("score", "score", 0)
    assert "Only 0 rows have a label" in found.notes[0]
    assert "does not tell whether predictions are wrong" in found.notes[0]
    assert (found.slices[0].kind, where(found.slices[0])) == ("moved", PLANTED)
    assert found.slices[0].before < found.slices[0].mean - 0.15
    assert found.slices[0].promised is None
    assert found.contributions.groups == ("now", "before")
    assert found.worst == []
    assert found.mean > found.before


def test_without_labels_and_without_a_week_before_there_is_nothing_to_say(client, automation):
    log_day(automation, START, labelled=False)
    asked = client.explanations.request("flights")
    with pytest.raises(explaining.NothingToExplainError, match="nothing was logged in the week"):
        automation.work(EXPLAIN)
    assert client.explanations.get(asked.number).found is None


def test_a_day_of_one_class(client, automation):
    table, values = rows_of(START, rows=2_400)
    automation.accept("predictions", "p", table, START + 23 * HOUR)
    automation.accept("labels", "l", labels_of(table, np.ones_like(values)), START + 23 * HOUR)
    automation.pass_to(START + DAY + HOUR)
    found = done(automation, client)
    assert found.by == "loss"
    assert found.slices[0].kind == "wrong"
    assert all("temp" in dict(where(one)) for one in found.slices)  # low scores, where it is cold
    assert found.contributions.split == "decision"


def test_few_rows(client, automation):
    log_day(automation, START, rows=150)
    found = done(automation, client, ExplainRequest(start=START, days=1, by="loss"))
    assert found.slices == []
    assert found.looked_at == 0
    assert "too few to look for slices" in found.notes[0]
    assert len(found.worst) == 10


def test_no_rows_and_no_window(client, automation):
    with pytest.raises(RefusedError, match="no window was read yet"):
        client.explanations.request("flights")
    client.explanations.request("flights", ExplainRequest(start=START + 9 * DAY))
    with pytest.raises(explaining.NothingToExplainError, match="no rows with a score"):
        automation.work(EXPLAIN)
    with pytest.raises(NotFoundError) as caught:
        client.explanations.get(99)
    assert caught.value.code == "explanation_not_found"
    with pytest.raises(NotFoundError):
        client.explanations.list("trains")


def test_a_version_whose_bytes_are_corrupt_takes_only_the_contributions_away(client, automation):
    log_day(automation, START)
    with automation.database.reading() as session:
        version = session.get_one(tables.Version, (automation.model.id, 1))
        manifest = json.loads(session.get_one(tables.Manifest, version.manifest_digest).body)
    (digest,) = [file["digest"] for file in manifest["files"]]
    automation.store.delete(digest)
    found = done(automation, client)
    assert where(found.slices[0]) == PLANTED
    assert len(found.worst) == 10
    assert found.contributions is None
    assert any(
        "version 1 cannot say what its features add" in note and digest in note
        for note in found.notes
    )


def test_an_opaque_version_takes_only_the_contributions_away(client, automation):
    log_day(automation, START)
    with automation.database.writing() as session:
        version = session.get_one(tables.Version, (automation.model.id, 1))
        version.flavour = "opaque"
    found = done(automation, client)
    assert "is none that mlreg can score" in found.notes[-1]
    assert where(found.slices[0]) == PLANTED


def test_some_labels_are_said_to_be_early(client, automation):
    table, values = rows_of(START, rows=2_400)
    automation.accept("predictions", "p", table, START + 23 * HOUR)
    early = labels_of(table, values).slice(0, 1_200)
    automation.accept("labels", "l", early, START + 23 * HOUR)
    automation.pass_to(START + DAY + HOUR)
    found = done(automation, client)
    assert (found.by, found.labelled) == ("loss", 1_200)
    assert "50% of the rows have a label" in found.notes[0]
    by_score = ExplainRequest(start=START, by="score")
    client.explanations.request("flights", by_score)
    with pytest.raises(explaining.NothingToExplainError):
        automation.work(EXPLAIN)
    page = client.explanations.list("flights", limit=1)
    rest = client.explanations.list("flights", before=page.next)
    assert [one.found is None for one in page.items + rest.items] == [True, False]
    assert rest.next is None


def test_explaining_from_the_command_line(cli, automation):  # noqa: F811 - the fixture
    log_day(automation, START)
    asked = cli("monitor", "explain", "flights", "--window", "2013-07-01", "--features", "temp")
    assert "is queued" in asked
    automation.work(EXPLAIN)
    number = asked.split()[1]
    out = cli("monitor", "explanation", number)
    assert "wrong: it loses more than its own scores promised" in out
    print(out)
    assert "carrier = UA and" in out
    assert "2,400 rows, 2,400 labelled; mean log loss" in out
    assert "V1 ADDS, IN SIZE" in out
    assert "temp=" in out
    assert max(map(len, out.splitlines())) <= 80
    assert json.loads(cli("--json", "monitor", "explanation", number))["found"]["slices"]
    assert "no time" in cli("monitor", "explain", "flights", "--window", "soon", code=2)


def test_the_outcome_is_bounded(client, automation):
    log_day(automation, START, rows=2_400)
    done(automation, client, ExplainRequest(worst=100, show=NAMES))
    with automation.database.reading() as session:
        job = session.exec(select(Job).where(Job.kind == "explain")).one()
    assert len(json.dumps(job.outcome)) < 60_000
