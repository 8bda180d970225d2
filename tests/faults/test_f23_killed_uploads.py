"""Fault 23: a client or server killed within an upload leaves no version, and no bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mlreg.client import uploads as client_uploads
from mlreg.client.errors import UnreachableError
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.services import upload_sessions
from mlreg.registry.services.upload_sessions import LIFE, sweep_uploads
from mlreg.registry.store.clock import SystemClock
from tests.servers.serving import Serving
from tests.upload_makers import (
    MIB,
    await_none_left,
    bare_request,
    digest_of,
    left_in,
    make_file,
    make_model,
)

pytestmark = [pytest.mark.s3, pytest.mark.slow]
PART = 5 * MIB
SIZE = 51 * MIB


@pytest.fixture(params=["folder", "rclone"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store((tmp_path / "artifacts").as_uri())
    return request.getfixturevalue(request.param).store()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(upload_sessions, "PART_BYTES", PART)


@pytest.mark.parametrize(
    ("store", "share"),
    [
        ("folder", "0.5"),
        pytest.param("rclone", "0.01", marks=pytest.mark.nightly),
        ("rclone", "0.5"),
        pytest.param("rclone", "0.99", marks=pytest.mark.nightly),
        ("rclone", "finish"),
        pytest.param("folder", "0.01", marks=pytest.mark.nightly),
        pytest.param("folder", "0.99", marks=pytest.mark.nightly),
        pytest.param("folder", "finish", marks=pytest.mark.nightly),
    ],
    indirect=["store"],
)
def test_a_killed_client_leaves_no_version_and_goes_on(
    client, api, store, tmp_path, cache_folder, share
):
    make_model(client)
    file = make_file(tmp_path, SIZE)
    digest = digest_of(file.read_bytes())
    assert run_client(api, file, share, cache_folder) == -9
    assert client.models.get("flights").last_version == 0
    assert store.size(digest) is None
    sent = []
    version = client.versions.register("flights", file, bare_request, on_bytes=sent.append)
    assert version.number == 1
    assert store.size(digest) == SIZE
    await_none_left(store)
    sessions = sessions_of(api)
    assert sessions.count(("verified", SIZE)) == 1
    if hasattr(store, "root"):
        assert len(sessions) == 1, "the first upload went on: there was no second"
    # rclone may take half a part of the dead client after the whole one of the next: then the
    # digest refuses what was joined, and all is sent anew
    assert {state for state, _ in sessions} <= {"verified", "failed"}


def test_what_a_killed_client_left_is_swept(client, api, store, tmp_path, cache_folder):
    make_model(client)
    file = make_file(tmp_path, SIZE)
    assert run_client(api, file, "0.5", cache_folder) == -9
    assert left_in(store)
    assert sweep_uploads(api.parts.database, store, SystemClock().now()) == 0
    later = SystemClock().now() + LIFE + timedelta(minutes=1)
    assert sweep_uploads(api.parts.database, store, later) == 1
    assert left_in(store) == []
    assert client.versions.register("flights", file, bare_request).number == 1


@pytest.mark.parametrize("store", ["folder"], indirect=True)
@pytest.mark.parametrize(
    "failpoint",
    [
        pytest.param("upload.piece_stored", marks=pytest.mark.nightly),
        "upload.uploaded",
        pytest.param("upload.adopted", marks=pytest.mark.nightly),
    ],
)
def test_a_killed_server_leaves_no_version_and_goes_on(
    database, store, tmp_path, monkeypatch, failpoint
):
    monkeypatch.setattr(client_uploads, "PAUSES_SECONDS", (0.1,))
    serving = Serving(database, store.root.as_uri())
    file = make_file(tmp_path, 20 * MIB)
    try:
        serving.start(failpoint)
        with serving.client() as client:
            make_model(client)
            with pytest.raises(UnreachableError):
                client.versions.register("flights", file, bare_request)
        assert serving.await_end() == -9
        serving.start()
        with serving.client() as client:
            assert client.models.get("flights").last_version == 0
            assert client.versions.register("flights", file, bare_request).number == 1
            version = client.versions.get("flights", 1)
            client.versions.download(version, tmp_path / "out")
    finally:
        serving.stop()
    assert (tmp_path / "out" / "model.bin").read_bytes() == file.read_bytes()
    later = SystemClock().now() + LIFE + timedelta(minutes=1)
    sweep_uploads(database, store, later)
    assert left_in(store) == []


def run_client(api, file: Path, share: str, cache: Path) -> int:
    command = [sys.executable, "-m", "tests.faults.uploading_client"]
    environ = {**os.environ, "MLREG_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [*command, api.url, api.token, str(file), share], env=environ, check=False
    )
    return done.returncode


def sessions_of(api):
    from sqlmodel import select

    from mlreg.registry.store.tables import UploadSession

    with api.parts.database.reading() as session:
        return [(row.state, row.received) for row in session.exec(select(UploadSession))]
