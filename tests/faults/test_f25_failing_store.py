"""Fault 25: an S3 store that errs, stalls or resets costs bounded tries and a few threads, no more.

The folder store has no network; what its disk does is asked elsewhere (faults 24, 27 and 29).
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlreg.client.errors import IntegrityError, MlregError, UnreachableError
from mlreg.client.transport import Call, path
from mlreg.registry.artifacts import s3
from tests.faults.workers import await_true
from tests.servers.fault_proxy import FaultProxy
from tests.upload_makers import (
    MIB,
    bare_request,
    begin,
    digest_of,
    finish,
    look,
    make_file,
    make_model,
    send_piece,
)

pytestmark = [pytest.mark.s3, pytest.mark.slow]
CONTENT = os.urandom(200_000)
OCTETS = "application/octet-stream"
STALL_SECONDS = 2.0
UPLOADS = 72


@pytest.fixture(params=["rclone", pytest.param("moto", marks=pytest.mark.nightly)])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    proxy = FaultProxy(server.url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def store(server, proxy, monkeypatch):
    monkeypatch.setattr(s3, "READ_SECONDS", 1)
    return server.store(proxy.url)


FAULTS = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 409},
    {"kind": "reset"},
    {"kind": "stall", "seconds": STALL_SECONDS},
]
NAMES = ["500", "503", "409", "reset", "stall"]


def put(client, content):
    place = path("blobs", digest_of(content))
    client.transport.send(Call("PUT", place, content=content, content_type=OCTETS))


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_a_lasting_fault_is_said_after_bounded_tries(client, store, proxy, fault):
    del store
    told = proxy.inject(**fault, method="*", path="", times=10_000)
    began = time.monotonic()
    with pytest.raises(UnreachableError) as said:
        put(client, CONTENT)
    assert said.value.status == 503
    assert told.done <= 12, "three tries of ours, three of the client"
    assert time.monotonic() - began < 25
    proxy.faults.clear()
    put(client, CONTENT)


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_an_upload_outlives_a_passing_fault(client, store, proxy, fault):
    upload = begin(client).id
    proxy.inject(**fault, method="*", path="", times=1)
    send_until_there(client, upload, 0, CONTENT[:100_000])
    proxy.inject(**fault, method="*", path="", times=1)
    send_until_there(client, upload, 100_000, CONTENT[100_000:])
    proxy.inject(**fault, method="*", path="", times=1)
    for _ in range(5):
        try:
            finish(client, upload, digest_of(CONTENT))
        except UnreachableError:
            continue
        break
    await_true(lambda: look(client, upload).state != "uploaded")
    assert look(client, upload).state == "verified"
    assert store.size(digest_of(CONTENT)) == len(CONTENT)


def send_until_there(client, upload, offset, content):
    for _ in range(5):
        if look(client, upload).offset == offset + len(content):
            return
        try:
            send_piece(client, upload, offset, content)
        except UnreachableError:
            continue
    assert look(client, upload).offset == offset + len(content)


@pytest.mark.parametrize("server", ["rclone"], indirect=True)
def test_a_stalled_store_leaves_look_ups_and_lists_alone(client, api, store, proxy):
    """Seventy-two uploads hang in the store; who does not need it must not notice."""
    del store
    make_model(client)
    client.models.get("flights")
    proxy.inject("stall", method="*", path="", times=10_000, seconds=STALL_SECONDS)
    ended = threading.Event()

    def hang(number):
        with api.client() as other:
            try:
                put(other, os.urandom(1000 + number))
            except MlregError as error:
                return error
            return None

    def watch():
        took = []
        with api.client() as other:
            while not ended.wait(0.02):
                began = time.monotonic()
                other.models.list(limit=10)
                other.deployments.status("flights")
                took.append(time.monotonic() - began)
        return took

    with ThreadPoolExecutor(UPLOADS + 1) as pool:
        watched = pool.submit(watch)
        answers = list(pool.map(hang, range(UPLOADS)))
        ended.set()
        took = watched.result()
    # One may be late on a busy machine; behind the stalls each would be, by STALL_SECONDS or more.
    assert np.quantile(took, 0.9) < 1.5
    assert all(isinstance(answer, UnreachableError) for answer in answers), answers
    proxy.faults.clear()
    put(client, CONTENT)


def test_with_every_third_answer_wrong_nothing_wrong_is_kept(client, store, proxy, tmp_path):
    make_model(client)
    for kind, more in (("status", {"status": 500}), ("reset", {}), ("status", {"status": 503})):
        proxy.inject(kind, method="*", path="", times=10_000, share=0.1, **more)
    kept = {}
    for number in range(12):
        file = make_file(tmp_path, 50_000, f"{number}.bin")
        for _ in range(4):
            try:
                version = client.versions.register("flights", file, bare_request)
            except (UnreachableError, IntegrityError):
                continue
            kept[version.number] = file.read_bytes()
            break
    assert len(kept) >= 10
    assert client.models.get("flights").last_version >= len(kept)
    proxy.faults.clear()
    for number, content in kept.items():
        assert store.size(digest_of(content)) == len(content)
        version = client.versions.get("flights", number)
        client.versions.download(version, tmp_path / f"out-{number}")
        assert next((tmp_path / f"out-{number}").iterdir()).read_bytes() == content


@pytest.mark.nightly
@pytest.mark.parametrize("server", ["rclone"], indirect=True)
def test_a_large_file_goes_through_with_every_third_answer_wrong(
    client, store, proxy, tmp_path, monkeypatch
):
    monkeypatch.setattr("mlreg.registry.services.upload_sessions.PART_BYTES", 5 * MIB)
    make_model(client)
    file = make_file(tmp_path, 31 * MIB)
    for kind in ("status", "reset"):
        proxy.inject(kind, method="*", path="", times=10_000, share=0.1)
    for _ in range(8):
        try:
            number = client.versions.register("flights", file, bare_request).number
        except (UnreachableError, IntegrityError):
            continue
        break
    proxy.faults.clear()
    version = client.versions.get("flights", number)
    assert store.size(version.files[0].digest) == 31 * MIB
    assert version.files[0].digest == digest_of(file.read_bytes())
