"""Models and versions over HTTP, through the client, as a user would."""

from __future__ import annotations

import hashlib
import http.client
import io
import resource
import socket
from urllib.parse import urlsplit

import pytest

from mlreg.client.downloads import OCTETS
from mlreg.client.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from mlreg.client.provenance import capture_environment, capture_git
from mlreg.client.transport import Call, path
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.registry.artifacts.verifying import key_of
from mlreg.registry.domain.errors import StorageFullError

FEATURES = [FeatureForm(name="x", dtype="float"), FeatureForm(name="y", dtype="int")]


@pytest.fixture
def model(client):
    request = ModelRequest(name="flights", target=TargetForm(task="binary"), features=FEATURES)
    return client.models.create(request)


def request_of(files, **more):
    provenance = ProvenanceForm(
        git=capture_git(),
        snapshots=["sha256:" + "1" * 64],
        contract=FEATURES,
        hyperparameters={"num_leaves": 31, "nested": {"a": [1, 2.5, None]}},
        seeds={"seed": 7},
        environment=capture_environment(),
        trainer="by hand",
        lane="full",
    )
    return VersionRequest(files=files, provenance=provenance, metrics={"auc": 0.7}, **more)


def register(client, source, **more):
    return client.versions.register("flights", source, lambda files: request_of(files, **more))


def file_of(tmp_path, content=b"weights" * 500_000):
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    return file


@pytest.mark.usefixtures("model")
def test_a_file_is_registered_with_its_provenance_and_downloaded(client, tmp_path):
    registered = register(client, file_of(tmp_path), tags={"team": "ops"})
    version = client.versions.get("flights", registered.number)
    assert (version.number, version.flavour, version.unsafe, version.missing) == (
        1, "opaque", False, [],
    )  # fmt: skip
    assert len(version.git["commit"]) == 40
    assert version.environment["packages"]["pydantic"]
    assert version.hyperparameters == {"num_leaves": 31, "nested": {"a": [1, 2.5, None]}}
    assert [feature["name"] for feature in version.contract] == ["x", "y"]
    assert client.versions.list("flights").items[0].tags == {"team": "ops"}
    moved = []
    client.versions.download(version, tmp_path / "out", on_bytes=moved.append)
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"weights" * 500_000
    assert sum(moved) == 3_500_000
    assert client.versions.verify("flights", 1).broken == []
    with pytest.raises(RefusedError, match="not empty"):
        client.versions.download(version, tmp_path / "out")


@pytest.mark.usefixtures("model")
def test_what_lacks_is_named_and_then_shown_for_ever(client, tmp_path):
    def bare(files, **more):
        return VersionRequest(files=files, provenance=ProvenanceForm(), **more)

    with pytest.raises(InvalidError) as refused:
        client.versions.register("flights", file_of(tmp_path), bare)
    assert refused.value.code == "incomplete_provenance"
    fields = ["git", "data", "contract", "hyperparameters", "seeds", "environment"]
    fields += ["trainer", "lane"]
    assert "--allow-missing " + ",".join(fields) in refused.value.hint
    allowed = client.versions.register(
        "flights", file_of(tmp_path), lambda files: bare(files, allow_missing=fields)
    )
    assert client.versions.get("flights", allowed.number).missing == fields


@pytest.mark.usefixtures("model")
def test_equal_bytes_are_sent_once(client, api, tmp_path):
    register(client, file_of(tmp_path))
    register(client, file_of(tmp_path))
    assert client.models.get("flights").last_version == 2
    (blob,) = api.parts.store.root.glob("blobs/sha256/*/*")
    assert blob.stat().st_size == 3_500_000


def test_bytes_of_another_digest_are_refused_and_not_kept(client, api):
    digest = "sha256:" + "0" * 64
    with pytest.raises(InvalidError) as refused:
        client.transport.send(
            Call("PUT", path("blobs", digest), content=b"others", content_type=OCTETS)
        )
    assert (refused.value.code, refused.value.status) == ("digest_mismatch", 422)
    assert list(api.parts.store.root.glob("**/*.*")) == []
    with pytest.raises(NotFoundError):
        client.transport.send(Call("GET", path("blobs", digest)))


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_rotten_bytes_are_an_error_on_every_way_out(client, api, tmp_path, damage):
    version = client.versions.get("flights", register(client, file_of(tmp_path)).number)
    spoil(api, version.files[0].digest, damage)
    with pytest.raises((IntegrityError, UnreachableError)):
        client.versions.download(version, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [file.path for file in client.versions.verify("flights", 1).broken] == ["model.bin"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "artifacts"] == ["model.bin"]


def spoil(api, digest, damage):
    file = api.parts.store.root / key_of(digest)
    content = file.read_bytes()
    file.unlink()
    if damage == "flip":
        file.write_bytes(content[:-1] + b"X")


@pytest.mark.usefixtures("model")
def test_the_last_piece_of_rotten_bytes_is_withheld(client, api, tmp_path):
    version = client.versions.get("flights", register(client, file_of(tmp_path)).number)
    digest = version.files[0].digest
    spoil(api, digest, "flip")
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    place = path("models", "flights", "versions", 1, "blobs", digest)
    connection.request("GET", place, headers={"Authorization": f"Bearer {api.token}"})
    answer = connection.getresponse()
    assert answer.getheader("Content-Disposition") == "attachment"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert len(cut.value.partial) <= 3_500_000 - 2**18
    connection.close()


@pytest.mark.usefixtures("model")
def test_a_blob_is_served_only_as_part_of_its_version(client, tmp_path):
    register(client, file_of(tmp_path))
    other = client.versions.register("flights", file_of(tmp_path, b"second"), request_of)
    digest = "sha256:" + hashlib.sha256(b"second").hexdigest()
    assert client.versions.get("flights", other.number).files[0].digest == digest
    with pytest.raises(NotFoundError):
        client.transport.send(
            Call("GET", path("models", "flights", "versions", 1, "blobs", digest))
        )


@pytest.mark.usefixtures("model")
def test_files_must_be_uploaded_first(client):
    files = [{"path": "a", "size": 1, "digest": "sha256:" + "3" * 64}]
    with pytest.raises(RefusedError) as refused:
        client.versions.register_files("flights", request_of(files))
    assert refused.value.code == "blobs_missing"


@pytest.mark.usefixtures("model")
def test_a_path_that_leads_astray_is_refused(client):
    for name in ("../evil", "/abs", "a/../b", "a\\b", "C:evil", "a//b", " ", "."):
        files = [{"path": name, "size": 1, "digest": "sha256:" + "3" * 64}]
        with pytest.raises(InvalidError) as refused:
            client.versions.register_files("flights", request_of(files))
        assert refused.value.code == "invalid_manifest"


@pytest.mark.usefixtures("model")
def test_a_pickle_is_stored_and_flagged(client, tmp_path):
    file = tmp_path / "model.pkl.gz"
    file.write_bytes(b"\x1f\x8banything")
    version = client.versions.register("flights", file, request_of)
    assert (version.flavour, version.unsafe) == ("pickle", True)


@pytest.mark.usefixtures("model")
def test_a_text_model_that_breaks_its_format_is_refused(client, tmp_path):
    file = tmp_path / "model.txt"
    file.write_bytes(b"tree\nversion=v4\nnum_class=1\n")
    with pytest.raises(InvalidError) as refused:
        client.versions.register("flights", file, request_of)
    assert refused.value.code == "invalid_model_file"
    assert client.models.get("flights").last_version == 0


def train(names):
    import lightgbm
    import numpy as np

    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, len(names)))
    rows_of = lightgbm.Dataset(rows, (rows[:, 0] > 0).astype(float), feature_name=names)
    parameters = {"objective": "binary", "verbosity": -1, "num_leaves": 5, "num_threads": 1}
    return lightgbm.train(parameters, rows_of, 3).model_to_string()


@pytest.mark.usefixtures("model")
def test_a_text_model_must_have_the_columns_of_the_contract(client, tmp_path):
    file = tmp_path / "model.txt"
    file.write_text(train(["x", "y"]))
    version = client.versions.register("flights", file, request_of)
    assert version.flavour == "lightgbm-text"
    for names, problem in {
        ("y", "x"): "'y': it stands at place 1",
        ("x", "z"): "'y': it is missing",
    }.items():
        file.write_text(train(list(names)))
        with pytest.raises(InvalidError, match=problem) as refused:
            client.versions.register("flights", file, request_of)
        assert refused.value.code == "contract_mismatch"


def test_models_are_created_once_listed_and_archived(client, model):
    assert client.models.get("flights") == model
    with pytest.raises(RefusedError) as refused:
        client.models.create(ModelRequest(name="flights", target=TargetForm(task="binary")))
    assert refused.value.code == "model_exists"
    client.models.create(ModelRequest(name="trains", target=TargetForm(task="regression")))
    first = client.models.list(limit=1)
    assert ([found.name for found in first.items], first.next) == (["flights"], "flights")
    assert [found.name for found in client.models.list(after=first.next).items] == ["trains"]
    assert client.models.archive("flights", reason="done").archived_reason == "done"
    assert [found.name for found in client.models.list().items] == ["trains"]


BROKEN_RULES = [
    ({"task": "guessing"}, None, "task must be one of"),
    ({"task": "binary", "positive_class": "2"}, None, "positive class unknown"),
    ({"task": "binary", "positive_class": "0"}, None, "1 is the positive one"),
    ({"task": "ranking"}, None, "group key"),
    ({"task": "binary"}, [{"name": "a", "dtype": "text"}], "feature 'a': dtype must be one of"),
    ({"task": "binary"}, [{"name": "a", "dtype": "int"}] * 2, "'a': it is there twice"),
    ({"task": "binary"}, [], "1 to"),
    ({"task": "binary"}, [{"name": "a", "dtype": "int", "default": "x"}], "is not a int"),
]


def test_what_breaks_a_rule_is_named(client):
    for target, features, words in BROKEN_RULES:
        with pytest.raises(InvalidError, match=words):
            client.models.create(ModelRequest(name="m", target=target, features=features))


def test_what_is_not_there_is_not_found(client):
    for name in ("nothing", "a.b"):
        with pytest.raises(NotFoundError):
            client.models.get(name)
        with pytest.raises(NotFoundError):
            client.versions.get(name, 1)


def test_an_upload_that_breaks_off_leaves_nothing(client, api):
    content = b"x" * 3_000_000
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    parts = urlsplit(api.url)
    for share in (0.01, 0.5, 0.99):
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            head = (
                f"PUT {path('blobs', digest)} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f"Authorization: Bearer {api.token}\r\nContent-Type: {OCTETS}\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            connection.sendall(head.encode() + content[: int(len(content) * share)])
    with pytest.raises(NotFoundError):
        client.transport.send(Call("GET", path("blobs", digest)))
    assert [file for file in api.parts.store.root.rglob("*") if file.is_file()] == []
    client.transport.send(Call("PUT", path("blobs", digest), content=content, content_type=OCTETS))
    assert api.parts.store.size(digest) == len(content)


@pytest.fixture
def full_disk():
    """A disk that takes no file beyond 1 MB, which the kernel says as it says that it is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_507_and_leaves_nothing(client, api):
    content = b"x" * 3_000_000
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    with pytest.raises(UnreachableError) as full:
        client.transport.send(
            Call("PUT", path("blobs", digest), content=content, content_type=OCTETS)
        )
    assert (full.value.code, full.value.status) == ("storage_full", 507)
    with pytest.raises(StorageFullError):
        api.parts.store.put(digest, io.BytesIO(content), len(content))
    assert [file for file in api.parts.store.root.rglob("*") if file.is_file()] == []
