"""An import from an MLflow server that means harm ends, soon, with a reason, and keeps nothing."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from mlreg.client.errors import IntegrityError, InvalidError, MlregError, UnreachableError
from mlreg.client.mlflow import server as reading
from mlreg.client.mlflow.importing import ensure_model, import_versions
from mlreg.client.mlflow.server import MlflowServer
from tests.faults.workers import PATIENCE_SECONDS
from tests.servers.hostile_mlflow import API, VERSION, HostileMlflow
from tests.servers.whole_api import whole_api

NUMBERS = itertools.count(1)
SEARCH, LIST = f"{API}/model-versions/search", f"{API}/artifacts/list"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in itertools.pairwise("abcdefgh")
)


@pytest.fixture
def hostile():
    server = HostileMlflow()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def whole(postgres, template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    with whole_api(postgres, template, folder, "hostile_mlflow") as running:
        yield running


@pytest.fixture
def name():
    """A model of this test's own."""
    return f"churn-{next(NUMBERS)}"


@pytest.fixture
def client(whole):
    with whole.client() as client:
        yield client


@pytest.fixture
def take(client, hostile, name):
    """Import from it: what became of each version."""
    ensure_model(client, name, "hostile", "binary")

    def take():
        return list(import_versions(client, MlflowServer(hostile.url), "churn", name))

    return take


def files(hostile, **contents):
    """Have a version of these files."""
    listed = [{"path": f"model/{name}", "file_size": len(c)} for name, c in contents.items()]
    hostile.answers[LIST] = {"files": listed}
    hostile.answers["/get-artifact"] = lambda query: contents[query["path"][0][len("model/") :]]


def test_a_server_that_means_well_is_imported_from(take):
    (found,) = take()
    assert (found.outcome, found.version, found.notes) == ("imported", 1, [])


def test_pages_without_end(take, hostile, monkeypatch):
    monkeypatch.setattr(reading, "MAX_PAGES", 20)
    hostile.answers[SEARCH] = {"model_versions": [VERSION], "next_page_token": "more"}
    with pytest.raises(InvalidError) as refused:
        take()
    assert refused.value.code == "too_big"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 200_000, "not_mlflow"),
        (b" " * (reading.MAX_ANSWER_BYTES + 1), "answer_too_large"),
        (b'{"model_versions": 7}', "not_mlflow"),
        (b'{"model_versions": [[]]}', "not_mlflow"),
        (b'{"model_versions": [{"name": "churn"}]}', "not_mlflow"),
        (b'{"model_versions": [{"name": "churn", "version": "1e999"}]}', "not_mlflow"),
        (json.dumps({"model_versions": [{**VERSION, "tags": 1}]}).encode(), "not_mlflow"),
        (
            json.dumps({"model_versions": [{**VERSION, "creation_timestamp": 10**30}]}).encode(),
            "not_mlflow",
        ),
    ],
)
def test_answers_that_make_no_sense(take, hostile, body, code):
    hostile.answers[SEARCH] = body
    with pytest.raises(InvalidError) as refused:
        take()
    assert refused.value.code == code


@pytest.mark.parametrize(
    "path",
    ["model/../../evil", "model/a/../../evil", "/etc/passwd", "model/a\\..\\evil", "model/a\0b"],
)
def test_names_that_lead_out_of_the_folder(take, hostile, path):
    hostile.answers[LIST] = {"files": [{"path": path, "file_size": 7}]}
    with pytest.raises(IntegrityError) as refused:
        take()
    assert refused.value.code == "unsafe_path"
    assert "/get-artifact" not in hostile.asked


@pytest.mark.parametrize(
    "listed",
    [
        [("a", False), ("a/b", False)],
        [("x" * 300, False)],
        [(f"{number}.bin", False) for number in range(100_000)],
        [(f"{number}", True) for number in range(2_000)],
    ],
)
def test_lists_that_no_disk_takes(take, hostile, listed):
    hostile.answers[LIST] = {
        "files": [{"path": f"model/{p}", "is_dir": d, "file_size": 7} for p, d in listed]
    }
    (found,) = take()
    assert found.outcome == "refused"
    assert found.notes[0].startswith(("version 1 has too many", "it cannot be kept"))


def test_a_folder_that_contains_itself_is_looked_at_once(take, hostile):
    loop = {"path": "model/loop", "is_dir": True}
    hostile.answers[LIST] = {"files": [loop, {"path": "model/model.bin", "file_size": 7}]}
    (found,) = take()
    assert found.outcome == "imported"
    assert hostile.asked.count(LIST) == 2


def test_a_file_is_not_written_beyond_its_size(take, hostile, monkeypatch):
    hostile.answers["/get-artifact"] = bytes(5_000_000)
    with pytest.raises(IntegrityError) as wrong:
        take()
    assert wrong.value.code == "wrong_size"
    monkeypatch.setattr(reading, "MAX_UNLISTED_BYTES", 1_000)
    hostile.answers[LIST] = {"files": [{"path": "model/model.bin"}]}
    (found,) = take()
    assert found.outcome == "refused"
    hostile.answers[LIST] = {"files": [{"path": "model/model.bin", "file_size": 10**15}]}
    (found,) = take()
    assert "more than" in found.notes[0]


def test_a_redirect_is_not_followed(take, hostile):
    hostile.location = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(UnreachableError) as refused:
        take()
    assert refused.value.code == "mlflow_refused"


@pytest.mark.parametrize("place", [SEARCH, "/get-artifact"])
def test_an_answer_that_drips_is_broken_off(take, hostile, monkeypatch, place):
    monkeypatch.setattr(reading, "TIMEOUT_SECONDS", 0.3)
    hostile.drips.add(place)
    hostile.answers[place] = bytes(10_000)
    hostile.answers[LIST] = {"files": [{"path": "model/model.bin", "file_size": 10_000}]}
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        take()
    assert time.monotonic() - began < 30  # a hundred seconds, were it read to its end


@pytest.mark.parametrize(
    "facts",
    [
        {"params": [{"key": "a", "value": "x\0y"}]},
        {"params": [{"key": "a", "value": "\ud800"}]},
        {"params": [{"key": "a\u202e", "value": "1"}]},
        {"params": [{"key": "a", "value": "9" * 5_000}]},
        {"tags": [{"key": f"tag {number}", "value": "x"} for number in range(20_000)]},
        {"tags": [{"key": "mlflow.source.git.commit", "value": "a" * 40}], "params": None},
        {"metrics": [{"key": "auc", "value": "much"}]},
    ],
)
def test_a_run_that_cannot_be_kept_is_said_to_be(take, hostile, client, name, facts):
    hostile.answers[f"{API}/runs/get"] = {"run": {"info": {"run_id": "r1"}, "data": facts}}
    (found,) = take()
    assert found.outcome in {"refused", "imported"}
    assert found.outcome == "imported" or found.notes
    assert len(client.versions.list(name).items) == (found.outcome == "imported")


@pytest.mark.parametrize(
    "mlmodel",
    [
        BOMB,
        "[" * 50_000,
        "flavors: 7",
        "flavors: [a, b]",
        "flavors: {7: {}, python_function: no}",
        "signature: {inputs: '" + "[" * 100_000 + "'}",
        "signature: [1]",
        "x: !!python/object/apply:os.system ['true']",
        "at: 2026-99-99",
        "#" * (2 * 2**20),
    ],
)
def test_metadata_that_mean_harm_are_no_metadata(take, hostile, mlmodel):
    files(hostile, MLmodel=mlmodel.encode(), **{"requirements.txt": b"a==1\n" * 1_000})
    began = time.monotonic()
    (found,) = take()
    assert found.outcome == "imported"
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_what_the_server_says_is_one_plain_line(take, hostile):
    hostile.answers[SEARCH] = {"model_versions": [{**VERSION, "source": "\x1b[2J\nelsewhere"}]}
    (found,) = take()
    assert found.outcome == "refused"
    assert "\x1b" not in found.notes[0]
    assert "\n" not in found.notes[0]


def test_no_error_but_ours(take, hostile):
    for body in (b"", b"null", b"[]", b"\xff\xfe", b'"x"', b"{}"):
        hostile.answers[SEARCH] = body
        try:
            found = take()
        except MlregError:
            continue
        assert found == []
