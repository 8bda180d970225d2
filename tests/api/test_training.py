"""`client.training(…)` against a real server: what is captured, refused, redacted and kept."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError, UnreachableError
from mlreg.client.provenance import digest_of_file
from mlreg.client.signing import generate_key
from mlreg.client.transport import Transport
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.signing import KeyRequest

TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
def model(client):
    return client.models.create(ModelRequest(name="fraud", target=TargetForm(task="binary")))


@pytest.fixture
def code(tmp_path):
    """A committed working tree."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    run = ["git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*run, *words], check=True, capture_output=True)
    return folder


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    count = 400
    amount = rng.gamma(2.0, 40.0, count)
    country = rng.choice(["de", "fr", "us"], count)
    label = (amount + 40 * (country == "us") + rng.normal(0, 20, count) > 100).astype(int)
    return pd.DataFrame({"amount": amount, "country": country, "label": label})


def booster_of(t, rows, *, rounds=12):
    codes = pd.DataFrame(
        {"amount": rows["amount"], "country": pd.Categorical(rows["country"]).codes}
    )
    learned = lightgbm.Dataset(
        codes, rows["label"], feature_name=["amount", "country"], categorical_feature=["country"]
    )
    params = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "metric": "auc"}
    params |= {"seed": t.seed(7), "deterministic": True, "num_threads": 1}
    return lightgbm.train(
        params, learned, rounds, valid_sets=[learned], valid_names=["train"],
        callbacks=[t.callback()],
    )  # fmt: skip


@pytest.mark.usefixtures("model")
def test_everything_an_auditor_asks_is_captured(  # noqa: PLR0915 - one version, all of it
    client, code, rows, tmp_path
):
    holdout = tmp_path / "holdout.csv"
    rows.to_csv(holdout, index=False)
    data = {"train": rows, "holdout": holdout}
    with client.training("fraud", features=["amount", "country"], data=data, code=code) as t:
        booster = booster_of(t, rows)
        scores = booster.predict(np.c_[rows["amount"], pd.Categorical(rows["country"]).codes])
        t.log_params(note="quick", missing=None, ratio=np.float32(0.5))
        t.log_metrics({"auc": np.float64(0.9)}, logloss=0.3)
        for leaves in (7, 15):
            t.trial({"num_leaves": leaves}, auc=round(0.8 + leaves / 1000, 3))
        t.predictions(rows["label"], scores, amount=rows["amount"])
        t.add_file(code / "train.py")
        (t.folder / "remarks.md").write_text("fine\n")
        t.log("began\nwent on")
        t.model(booster)
        size = 96 * 2**20
        ballast = np.ones(size // 8)
        del ballast
    version = client.versions.get("fraud", t.version.number)
    assert (version.flavour, version.trainer, version.lane) == ("lightgbm-text", "lightgbm", "full")
    assert version.missing == []
    head = subprocess.run(
        ["git", "-C", str(code), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    assert version.git == {"commit": head.stdout.strip(), "dirty": False, "remote": None}
    named = {item["name"]: item for item in version.data}
    assert (named["train"]["kind"], named["train"]["rows"]) == ("table", 400)
    assert named["holdout"]["digest"] == digest_of_file(holdout)
    assert (named["holdout"]["rows"], named["holdout"]["size"]) == (400, holdout.stat().st_size)
    assert set(version.snapshots) == {item["digest"] for item in version.data}
    assert [(f["name"], f["dtype"], f.get("categories")) for f in version.contract] == [
        ("amount", "float", None),
        ("country", "category", ["de", "fr", "us"]),
    ]
    assert version.hyperparameters["num_leaves"] == 7
    assert version.hyperparameters["trees"] == 12
    assert (version.hyperparameters["ratio"], version.hyperparameters["missing"]) == (0.5, None)
    assert version.seeds == {"seed": 7}
    assert version.environment["packages"]["lightgbm"] == lightgbm.__version__
    assert version.metrics == {"auc": 0.9, "logloss": 0.3}
    assert version.trained_by == "admin"
    assert 0 < version.duration_seconds < 60
    assert version.peak_memory_bytes > size
    kinds = {file.name: file.kind for file in version.stage}
    assert kinds == {
        "curves.csv": "loss_curve",
        "predictions.csv": "predictions",
        "remarks.md": "other",
        "search.csv": "search_table",
        "train.py": "code",
        "training.log": "log",
    }
    out = client.versions.download_stage(version, tmp_path / "out")
    table = list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text())))
    assert len(table) == 400
    assert float(table[3]["score"]) == scores[3]
    shown = client.versions.stage("fraud", version.number)
    assert [(curve.name, curve.count) for curve in shown.curves] == [("train auc", 12)]
    assert shown.searches[0].rows == [["1", "7", "0.807"], ["2", "15", "0.815"]]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), SystemExit(3)])
def test_a_block_that_fails_registers_nothing_and_says_so(client, code, rows, caplog, error):
    training = client.training("fraud", features=["amount"], data=rows, code=code)
    with pytest.raises(type(error)) as ended, training as t:  # noqa: PT012
        folder = t.folder
        t.log_metrics(auc=0.5, step=1)
        raise error
    assert "nothing was registered" in caplog.text
    assert "nothing was registered" in ended.value.__notes__[0]
    assert not folder.exists()
    assert client.models.get("fraud").last_version == 0
    with pytest.raises(InvalidError, match="nothing is registered"):
        _ = training.version


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("status", [0, None])
def test_an_exit_that_looks_like_success_says_that_nothing_was_registered(
    client, code, rows, capsys, status
):
    training = client.training("fraud", features=["amount"], data=rows, code=code)
    with pytest.raises(SystemExit), training as t:  # noqa: PT012
        t.model(booster_of(t, rows))
        sys.exit(status)
    assert "left by exit 0, and nothing was registered" in capsys.readouterr().err
    assert client.models.get("fraud").last_version == 0


@pytest.mark.usefixtures("model")
def test_the_key_of_the_environment_signs_a_training(client, code, rows, tmp_path, monkeypatch):
    public = generate_key(tmp_path / "ada.key")
    client.keys.add(KeyRequest(name="ada", public_key=public))
    monkeypatch.setenv("MLREG_SIGNING_KEY", str(tmp_path / "ada.key"))
    with client.training("fraud", features=["amount", "country"], data=rows, code=code) as t:
        t.model(booster_of(t, rows))
    (found,) = client.keys.signatures("fraud", t.version.number)
    assert (found.key_name, found.trusted) == ("ada", True)


@pytest.mark.usefixtures("model")
def test_what_would_be_refused_at_the_end_is_refused_before_the_block(client, code, rows, tmp_path):
    def begin(model="fraud", **more):
        with client.training(model, **more):
            pytest.fail("the block began")

    with pytest.raises(NotFoundError):
        begin("unknown", features=["amount"], data=rows, code=code)
    with pytest.raises(InvalidError, match="has no git"):
        begin(features=["amount"], data=rows, code=tmp_path)
    with pytest.raises(InvalidError, match="has no data"):
        begin(features=[FeatureForm(name="x", dtype="float")], code=code)
    with pytest.raises(InvalidError, match="has no contract"):
        begin(data=rows, code=code)
    with pytest.raises(InvalidError, match="'speed': nothing says its dtype"):
        begin(features=["speed"], data=rows, code=code)
    with pytest.raises(FileNotFoundError):
        begin(features=["amount"], data=tmp_path / "none.csv", code=code)
    client.models.archive("fraud", reason="old")
    with pytest.raises((RefusedError, NotFoundError)):
        begin(features=["amount"], data=rows, code=code)


@pytest.mark.usefixtures("model")
def test_a_training_without_a_model_keeps_its_files(client, code, rows, tmp_path):
    training = client.training("fraud", features=["amount"], data=rows, code=code)
    with pytest.raises(InvalidError, match="no model was given") as ended, training as t:  # noqa: PT012
        t.log_params(a=1)
        t.seed(3)
    assert "tries again" in " ".join(ended.value.__notes__)
    (tmp_path / "model.bin").write_bytes(b"weights")
    t.model(tmp_path / "model.bin")
    assert t.register().number == 1
    with pytest.raises(InvalidError, match="registered as fraud/1"):
        t.register()


@pytest.mark.usefixtures("model")
def test_a_server_that_goes_away_costs_nothing_that_was_trained(client, code, rows, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    training = client.training("fraud", features=["amount"], data=rows, code=code)
    with pytest.raises(UnreachableError), training as t:  # noqa: PT012
        t.seed(3)
        t.log_params(a=1)
        t.model(tmp_path / "model.bin")
        t._transport = Transport("http://127.0.0.1:9", "mlr_x", timeout_seconds=1)
    assert client.models.get("fraud").last_version == 0
    t._transport = client.transport
    assert t.register().number == 1
    t._version = None  # as if its answer had been lost: the same request is the same version
    t.folder.mkdir(parents=True)
    assert t.register().number == 1
    assert client.models.get("fraud").last_version == 1


@pytest.mark.usefixtures("model")
def test_secrets_are_redacted_before_they_leave(client, code, rows, caplog, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    options = {"tags": {"api_key": "k-123", "team": "risk"}, "description": f"by {TOKEN}"}
    with client.training("fraud", features=["amount"], data=rows, code=code, **options) as t:
        t.seed(1)
        t.log_params(db={"password": "hunter2", "host": "db"}, token=TOKEN, max_tokens=512)
        t.trial({"url": "postgres://ada:hunter2@db/x"}, auc=1)
        t.log(f"using {TOKEN}\nfine")
        t.model(tmp_path / "model.bin")
    version = client.versions.get("fraud", 1)
    assert version.hyperparameters == {
        "db": {"password": "[redacted]", "host": "db"},
        "token": "[redacted]",
        "max_tokens": 512,
    }
    assert version.tags == {"api_key": "[redacted]", "team": "risk"}
    assert version.description == "by [redacted]"
    out = client.versions.download_stage(version, tmp_path / "out")
    kept = b"".join(path.read_bytes() for path in out.iterdir())
    assert b"using [redacted]" in kept
    for secret in (TOKEN, "hunter2", "k-123"):
        assert secret.encode() not in kept
        assert secret not in caplog.text
        assert secret not in version.model_dump_json()
    assert "db.password looks like a secret" in caplog.text


@pytest.mark.usefixtures("model")
def test_data_that_changes_meanwhile_is_noticed(client, code, tmp_path, caplog):
    file = tmp_path / "rows.csv"
    file.write_text("x\n1\n")
    (tmp_path / "model.bin").write_bytes(b"weights")
    features = [FeatureForm(name="x", dtype="float")]
    with client.training("fraud", features=features, data=file, code=code) as t:
        before = digest_of_file(file)
        time.sleep(0.01)
        file.write_text("x\n1\n2\n")
        t.seed(1)
        t.log_params(a=1)
        t.model(tmp_path / "model.bin")
    assert "rows.csv changed" in caplog.text
    assert client.versions.get("fraud", 1).snapshots == [before]


def test_features_come_from_the_model_and_open_categories_from_the_data(client, code, tmp_path):
    features = [FeatureForm(name="x", dtype="float"), FeatureForm(name="c", dtype="category")]
    client.models.create(
        ModelRequest(name="fraud", target=TargetForm(task="binary"), features=features)
    )
    (tmp_path / "model.bin").write_bytes(b"weights")
    rows = pa.table({"x": [1.0, 2.0], "c": pa.array(["b", "a"]).dictionary_encode()})
    with client.training("fraud", data=rows, code=code, params={"seed": 3}) as t:
        t.model(tmp_path / "model.bin")
    version = client.versions.get("fraud", 1)
    assert version.contract[1]["categories"] == ["b", "a"]  # the order of the table's own codes
    assert version.seeds == {"seed": 3}
