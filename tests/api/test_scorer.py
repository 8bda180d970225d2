"""The Scorer against a real API: what a serving application lives through."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlreg.client.scoring.encoding import encode
from mlreg.client.scoring.errors import ColumnError, NoChampionError, ParserRefusedError
from mlreg.client.scoring.parser import parse_in_child
from mlreg.client.scoring.scorer import Scorer
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.controller.trainers.child import train
from tests.integration.training_folder import SCHEMA, make_rows, read_result, train_job

COLUMNS = {"temp": [0.5, None], "wind": [1.0, 2.0], "hour": [7, 8], "carrier": ["UA", "ZZ"]}
ALLOWED = ["git", "data", "hyperparameters", "seeds", "environment", "trainer", "lane"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two trained models of one contract."""
    folders = []
    for seed in (1, 2):
        folder = train_job(tmp_path_factory.mktemp("trained"), make_rows(seed=seed))
        train(folder)
        folders.append(folder)
    return folders


def register(client, folder):
    contract = [FeatureForm(**form) for form in read_result(folder)["contract"]["features"]]

    def request(files):
        return VersionRequest(
            files=files, provenance=ProvenanceForm(contract=contract), allow_missing=ALLOWED
        )

    return client.versions.register("flights", folder / "out", request).number


@pytest.fixture
def flights(client, trained):
    """A model with two versions, the first of them champion."""
    features = [FeatureForm(**form) for form in SCHEMA]
    target = TargetForm(task="binary")
    client.models.create(ModelRequest(name="flights", target=target, features=features))
    for folder in trained:
        register(client, folder)
    client.deployments.promote("flights", 1)
    return client


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def expected(folder, columns=COLUMNS):
    import lightgbm

    contract = read_result(folder)["contract"]
    booster = lightgbm.Booster(model_str=(folder / "out/model.txt").read_text())
    return booster.predict(encode(contract, columns).matrix)


def promote(client, version):
    client.deployments.promote("flights", version, force=True, reason="test")


def test_it_serves_the_champion_and_follows_a_promote_and_a_rollback(flights, trained, cache):
    scorer = Scorer(flights, "flights", cache=cache, name="app-1")
    with pytest.raises(NoChampionError, match="not asked"):
        scorer.predict(COLUMNS)
    assert scorer.refresh()
    answer = scorer.predict(COLUMNS)
    np.testing.assert_allclose(answer.scores, expected(trained[0]))
    assert (answer.version, answer.revision, answer.unseen) == (1, 1, {"carrier": 1})
    assert not scorer.refresh()
    promote(flights, 2)
    assert scorer.refresh()
    answer = scorer.predict(COLUMNS)
    np.testing.assert_allclose(answer.scores, expected(trained[1]))
    assert (answer.version, answer.revision) == (2, 2)
    flights.deployments.rollback("flights", reason="test")
    assert scorer.refresh()
    assert (scorer.version, scorer.revision) == (1, 3)


def test_it_acknowledges_what_it_serves(flights, cache):
    Scorer(flights, "flights", cache=cache, name="app-1").refresh()
    Scorer(flights, "flights", cache=cache, name="app-2").refresh()
    status = flights.deployments.status("flights")[0]
    assert {(one.client, one.revision) for one in status.clients} == {("app-1", 1), ("app-2", 1)}


def test_it_serves_on_while_the_registry_is_away_even_after_a_restart(api, flights, trained, cache):
    scorer = Scorer(flights, "flights", cache=cache)
    scorer.refresh()
    api.stop()
    assert not scorer.refresh()
    assert "no answer" in scorer.problem
    again = Scorer(flights, "flights", cache=cache)
    again.refresh()
    np.testing.assert_allclose(again.predict(COLUMNS).scores, expected(trained[0]))
    assert again.revision == 1


def test_it_refuses_a_lower_revision_of_the_same_incarnation_only(flights, cache):
    Scorer(flights, "flights", cache=cache).refresh()
    state = cache / "flights" / "production" / "state.json"
    ahead = {**json.loads(state.read_text()), "revision": 99}
    state.write_text(json.dumps(ahead))
    scorer = Scorer(flights, "flights", cache=cache)
    assert not scorer.refresh()
    assert "offers revision 1, already served is 99" in scorer.problem
    assert scorer.predict(COLUMNS).revision == 99
    state.write_text(json.dumps({**ahead, "incarnation": "another"}))
    scorer = Scorer(flights, "flights", cache=cache)
    scorer.refresh()
    assert (scorer.problem, scorer.revision) == (None, 1)


def test_a_file_changed_on_its_disk_is_not_served_but_fetched_anew(flights, trained, cache):
    Scorer(flights, "flights", cache=cache).refresh()
    (file,) = cache.glob("flights/versions/*/model.txt")
    file.write_text(file.read_text().replace("leaf_value=", "leaf_value=9", 1))
    scorer = Scorer(flights, "flights", cache=cache)
    assert "digest" in scorer.problem
    scorer.refresh()
    assert scorer.problem is None
    np.testing.assert_allclose(scorer.predict(COLUMNS).scores, expected(trained[0]))


def test_a_champion_that_the_parser_refuses_is_not_taken(flights, trained, cache, monkeypatch):
    scorer = Scorer(flights, "flights", cache=cache)
    scorer.refresh()

    def refuse(*_arguments, **_options):
        raise ParserRefusedError(where="parser", cause="was killed by SIGSEGV")

    monkeypatch.setattr("mlreg.client.scoring.parser.parse_in_child", refuse)
    promote(flights, 2)
    assert not scorer.refresh()
    assert "SIGSEGV" in scorer.problem
    assert scorer.predict(COLUMNS).version == 1
    monkeypatch.undo()
    assert scorer.refresh()
    np.testing.assert_allclose(scorer.predict(COLUMNS).scores, expected(trained[1]))


def test_a_version_is_parsed_in_a_child_once(flights, cache, monkeypatch):
    calls = []

    def counted(*arguments, **options):
        calls.append(1)
        parse_in_child(*arguments, **options)

    monkeypatch.setattr("mlreg.client.scoring.parser.parse_in_child", counted)
    for _ in range(3):
        Scorer(flights, "flights", cache=cache).refresh()
    assert len(calls) == 1


def test_no_deployment_and_a_broken_column_are_said_clearly(flights, cache):
    scorer = Scorer(flights, "cargo", cache=cache)
    scorer.refresh()
    with pytest.raises(NoChampionError, match="cargo"):
        scorer.predict(COLUMNS)
    scorer = Scorer(flights, "flights", cache=cache)
    scorer.refresh()
    with pytest.raises(ColumnError, match="'temp' must be float"):
        scorer.predict({**COLUMNS, "temp": ["x", "y"]})
    assert scorer.predict({name: [] for name in COLUMNS}).scores.shape == (0,)
