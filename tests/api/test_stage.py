"""The stage of a version over HTTP: archived, shown, downloaded; and no secrets in what is kept."""

from __future__ import annotations

import json

import pytest

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.client.provenance import capture_environment, digest_of_file
from mlreg.client.stage import StagePath, stage_of_options, stage_paths
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.versions import DataForm, ProvenanceForm, StageFileForm, VersionRequest
from mlreg.registry.store import tables
from tests.api.test_doors import call
from tests.api.test_versions import spoil

FEATURES = [FeatureForm(name="x", dtype="float")]
CURVES = "step,train auc,valid auc\n" + "".join(
    f"{step},{0.6 + step / 5000},{'' if step % 7 else 0.61}\n" for step in range(1, 1001)
)
SEARCH = "trial,num_leaves,auc\n1,31,0.71\n2,63,0.73\n"
TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
def model(client):
    request = ModelRequest(name="flights", target=TargetForm(task="binary"), features=FEATURES)
    return client.models.create(request)


def request_of(files, *, provenance=None, **more):
    given = ProvenanceForm(
        data=[DataForm(name="train", digest="sha256:" + "1" * 64, kind="table", rows=480)],
        contract=FEATURES,
        hyperparameters={"num_leaves": 31},
        seeds={"seed": 7},
        environment=capture_environment(),
        trainer="by hand",
        lane="full",
        duration_seconds=12.5,
        peak_memory_bytes=2**40,
        **(provenance or {}),
    )
    return VersionRequest(files=files, provenance=given, allow_missing=["git"], **more)


def register(client, folder, stage=(), forms=(), **more):
    file = folder / "model.bin"
    file.write_bytes(b"weights")
    return client.versions.register(
        "flights", file, lambda files: request_of(files, stage=forms, **more), stage=stage
    )


def staged(folder):
    (folder / "curves.csv").write_text(CURVES)
    (folder / "search.csv").write_text(SEARCH)
    (folder / "broken.csv").write_bytes(b"\xff\xfe\x00binary")
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("print(1)\n")
    return [
        *stage_paths(folder / "curves.csv", kind="loss_curve"),
        *stage_paths(folder / "search.csv", kind="search_table"),
        *stage_paths(folder / "broken.csv", kind="loss_curve"),
        *stage_paths(folder / "code"),
    ]


@pytest.mark.usefixtures("model")
def test_a_verification_hashes_the_stage_too(client, api, tmp_path):
    number = register(client, tmp_path, staged(tmp_path)).number
    found = client.versions.verify("flights", number)
    assert (found.files, found.broken) == (5, [])
    spoil(api, digest_of_file(tmp_path / "search.csv"), "flip")
    broken = client.versions.verify("flights", number).broken
    assert [file.path for file in broken] == ["stage/search.csv"]


@pytest.mark.usefixtures("model")
def test_the_stage_is_archived_shown_and_downloaded(client, database, tmp_path):
    number = register(client, tmp_path, staged(tmp_path)).number
    version = client.versions.get("flights", number)
    assert (version.trained_by, version.duration_seconds) == ("admin", 12.5)
    assert version.peak_memory_bytes == 2**40
    assert version.data[0]["name"] == "train"
    assert version.snapshots == ["sha256:" + "1" * 64]
    named = [(file.name, file.kind) for file in version.stage]
    assert named == [
        ("broken.csv", "loss_curve"),
        ("code/train.py", "code"),
        ("curves.csv", "loss_curve"),
        ("search.csv", "search_table"),
    ]
    shown = client.versions.stage("flights", number)
    train, valid = shown.curves
    assert (train.name, train.count, valid.count) == ("train auc", 1000, 142)
    assert len(train.points) <= 240
    assert (train.points[0][0], train.points[-1][0], train.greatest) == (1, 1000, 0.8)
    assert shown.searches[0].rows == [["1", "31", "0.71"], ["2", "63", "0.73"]]
    assert "no CSV" in shown.problems["broken.csv"]
    out = client.versions.download_stage(version, tmp_path / "out")
    assert (out / "code" / "train.py").read_text() == "print(1)\n"
    assert (out / "curves.csv").read_text() == CURVES
    with database.reading() as session:
        digest = digest_of_file(tmp_path / "search.csv")
        key = (digest, "stage", version.stage_digest)
        assert session.get(tables.BlobReference, key) is not None


@pytest.mark.usefixtures("model")
def test_a_stage_is_shown_up_to_so_many_bytes_of_all_its_files(client, tmp_path):
    large = tmp_path / "large.csv"
    large.write_bytes(b"step,loss\n" + b"1,0.50000000000000000000000000000\n" * 90_000)
    sent = client.versions.upload_file(large)
    forms = [
        StageFileForm(name=name, kind="loss_curve", size=sent.size, digest=sent.digest)
        for name in ("a.csv", "b.csv")
    ]
    shown = client.versions.stage("flights", register(client, tmp_path, forms=forms).number)
    assert {curve.file for curve in shown.curves} == {"a.csv"}
    assert "with those before it" in shown.problems["b.csv"]


@pytest.mark.usefixtures("model")
def test_bytes_of_a_stage_that_were_not_uploaded_are_refused(client, tmp_path):
    stage = [{"name": "x.log", "kind": "log", "size": 4, "digest": "sha256:" + "9" * 64}]
    with pytest.raises(RefusedError, match=r"'x\.log' is not stored"):
        register(client, tmp_path, forms=stage)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\\b", "a//b", "\u202egpj.exe", ""])
def test_a_stage_file_has_a_plain_name(client, tmp_path, name):
    file = tmp_path / "x.log"
    file.write_text("line")
    with pytest.raises(InvalidError):
        register(client, tmp_path, [StagePath(name, "log", file)])
    with pytest.raises(NotFoundError):
        client.versions.get("flights", 1)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"tags": {"key": TOKEN}}, "tags.key has a GitHub token in it"),
        ({"tags": {TOKEN: "x"}}, "tags has a GitHub token in it"),
        ({"description": f"made with {TOKEN}"}, "description has a GitHub token in it"),
        ({"metrics": {TOKEN: 1.0}}, "metrics has a GitHub token in it"),
    ],
)
def test_a_token_is_refused_by_its_place(client, tmp_path, more, place):
    with pytest.raises(InvalidError) as refused:
        register(client, tmp_path, **more)
    assert refused.value.code == "secret_found"
    assert str(refused.value) == place
    assert TOKEN not in str(refused.value)


@pytest.mark.usefixtures("model")
def test_what_stands_under_a_secret_name_is_not_kept(client, tmp_path):
    number = register(client, tmp_path, tags={"db_password": "hunter2", "team": "ops"}).number
    assert client.versions.get("flights", number).tags == {
        "db_password": "[redacted]",
        "team": "ops",
    }


def test_options_name_files_folders_and_kinds(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.csv").write_text("1")
    found = stage_of_options([f"{tmp_path}/a.py", f"{tmp_path}/b.csv:loss_curve"])
    assert [(file.name, file.kind) for file in found] == [("a.py", "code"), ("b.csv", "loss_curve")]
    with pytest.raises(InvalidError, match="no kind of file"):
        stage_of_options([f"{tmp_path}/b.csv:curve"])
    with pytest.raises(InvalidError, match="two files"):
        stage_of_options([f"{tmp_path}/a.py", f"{tmp_path}/a.py"])
    with pytest.raises(FileNotFoundError):
        stage_of_options([f"{tmp_path}/none.py"])


@pytest.mark.usefixtures("model")
def test_a_reason_is_kept_without_a_secret_that_was_pasted_into_it(api, client):
    body = json.dumps({"reason": f"leaked {TOKEN}"}).encode()
    path = "/api/v1/models/flights/archive"
    assert call(api, "POST", path, body, Content_Type="application/json")[0] == 200
    assert client.models.get("flights").archived_reason == "leaked [redacted]"
