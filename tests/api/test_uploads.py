"""Uploads that can be resumed, large files by way of the server and straight to S3, and back."""

from __future__ import annotations

import io
import os
import select
import socket
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from mlreg.client import ranges
from mlreg.client.cache import BlobCache
from mlreg.client.downloads import OCTETS
from mlreg.client.errors import (
    IntegrityError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from mlreg.client.transport import Call, path
from mlreg.client.versions import Versions
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.artifacts.s3 import S3Store
from mlreg.registry.artifacts.verifying import key_of
from mlreg.registry.services import upload_sessions
from mlreg.registry.services.access import issue_token
from mlreg.registry.services.upload_sessions import LIFE, sweep_uploads
from mlreg.registry.store.clock import SystemClock
from tests.makers import PERSON
from tests.servers.fault_proxy import FaultProxy
from tests.servers.ports import free_port
from tests.servers.s3 import BUCKET
from tests.upload_makers import (
    MIB,
    await_none_left,
    bare_request,
    begin,
    digest_of,
    finish,
    left_in,
    look,
    make_file,
    make_model,
    send_piece,
)

CONTENT = os.urandom(300_000)
DIGEST = digest_of(CONTENT)
FORM = {"path", "size", "digest"}


@pytest.fixture(params=["folder", "rclone", "moto"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store((tmp_path / "artifacts").as_uri())
    return request.getfixturevalue(request.param).store()


@pytest.fixture
def token_of(api):
    """Make another caller: `token_of(name, role, models)`."""

    def make(name, role="ci", models=None):
        with api.parts.database.writing() as session:
            issued = issue_token(
                session,
                name,
                kind="service",
                role=role,
                models=models,
                actor=PERSON,
                now=SystemClock().now(),
            )
        return issued.bearer

    return make


def test_pieces_in_order_become_a_blob(client, store):
    upload = begin(client, len(CONTENT)).id
    assert send_piece(client, upload, 0, CONTENT[:100_000]).offset == 100_000
    assert send_piece(client, upload, 100_000, CONTENT[100_000:]).offset == 300_000
    assert look(client, upload).state == "open"
    status, done = finish(client, upload, DIGEST)
    assert (status, done.state, done.digest, done.size) == (201, "verified", DIGEST, 300_000)
    assert finish(client, upload, DIGEST)[0] == 201, "repeating it is fine"
    assert read_blob(store, DIGEST) == CONTENT
    await_none_left(store)


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_a_piece_out_of_order_is_refused_and_the_offset_told(client):
    upload = begin(client).id
    send_piece(client, upload, 0, b"12345")
    for offset in (0, 4, 6):
        with pytest.raises(InvalidError) as refused:
            send_piece(client, upload, offset, b"678")
        assert (refused.value.status, refused.value.code) == (416, "upload_out_of_order")
    assert look(client, upload).offset == 5


@pytest.mark.parametrize("store", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 416),
        ("bytes 5-4/*", 416),
        ("bytes 0-1/*", 416),
        ("items 0-4", 416),
        ("bytes 0-99999999999999999999/*", 416),
        (f"bytes 0-{64 * MIB}/*", 413),
    ],
)
def test_a_piece_says_exactly_which_bytes_it_is(client, header, status):
    upload = begin(client).id
    with pytest.raises(InvalidError) as refused:
        send_piece(client, upload, 0, b"12345", **{"Content-Range": header})
    assert refused.value.status == status
    assert look(client, upload).offset == 0


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_a_piece_that_goes_on_behind_its_end_is_not_taken_to_its_end(client, api):
    upload, chunk = begin(client).id, b"x" * MIB
    head = (
        f"PATCH /api/v1/uploads/{upload} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Range: bytes 0-0/*"
    )
    head += f"\r\nAuthorization: Bearer {api.token}\r\nContent-Type: {OCTETS}"
    head += "\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(api.url).port), timeout=10) as raw:
        raw.sendall(head.encode())
        sent = 0
        while not select.select([raw], [], [], 0.02)[0]:
            assert sent < 64, "an endless body is taken"
            raw.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            sent += 1
        assert raw.recv(100).startswith(b"HTTP/1.1 416 ")
    assert look(client, upload).offset == 0


def test_other_bytes_than_the_digest_says_are_400_and_gone(client, store):
    upload = begin(client).id
    send_piece(client, upload, 0, CONTENT)
    with pytest.raises(InvalidError) as refused:
        finish(client, upload, digest_of(b"others"))
    assert (refused.value.status, refused.value.code) == (400, "digest_mismatch")
    assert look(client, upload).state == "failed"
    await_none_left(store)
    assert store.size(DIGEST) is None
    with pytest.raises(RefusedError):
        send_piece(client, upload, len(CONTENT), b"more")


def test_another_size_than_was_said_is_400(client, store):
    upload = begin(client, 5).id
    send_piece(client, upload, 0, b"1234")
    with pytest.raises(InvalidError) as refused:
        finish(client, upload, digest_of(b"1234"))
    assert refused.value.status == 400
    await_none_left(store)


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_an_upload_is_its_owners_alone(client, api, token_of):
    upload = begin(client).id
    with api.client(token_of("other")) as other:
        for act in (look, lambda c, u: send_piece(c, u, 0, b"x")):
            with pytest.raises(NotFoundError):
                act(other, upload)
    with api.client(token_of("reader", "viewer")) as reader, pytest.raises(NotAllowedError):
        begin(reader)


def test_an_upload_that_is_cancelled_leaves_nothing(client, store):
    upload = begin(client).id
    send_piece(client, upload, 0, CONTENT)
    assert left_in(store)
    client.transport.send(Call("DELETE", path("uploads", upload)))
    assert left_in(store) == []
    with pytest.raises(NotFoundError):
        look(client, upload)


def test_what_nobody_finishes_is_swept_after_a_day(client, api, store):
    upload = begin(client).id
    direct = begin(client, 20 * MIB, direct=True)
    send_piece(client, upload, 0, CONTENT)
    store_transfers = api.app.state.transfers.room.transfers
    stray = "0" * 32
    piece = f"{0:020d}-{'0' * 16}"
    store_transfers.append(stray, piece, io.BytesIO(b""))
    now = SystemClock().now()
    database = api.parts.database
    assert sweep_uploads(database, store, now) == 0
    assert look(client, upload).offset == len(CONTENT)
    assert sweep_uploads(database, store, now + LIFE + timedelta(minutes=1)) == 3
    assert left_in(store) == []
    for name in (upload, direct.id):
        with pytest.raises(NotFoundError):
            look(client, name)


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_no_piece_goes_beyond_the_size_that_was_said(client):
    upload = begin(client, 5).id
    send_piece(client, upload, 0, b"123")
    with pytest.raises(InvalidError) as refused:
        send_piece(client, upload, 3, b"456")
    assert (refused.value.status, refused.value.code) == (416, "upload_too_long")
    assert look(client, upload).offset == 3
    assert send_piece(client, upload, 3, b"45").offset == 5
    assert finish(client, upload, digest_of(b"12345"))[0] == 201


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_an_owner_has_so_many_open_uploads_at_most(client, api, store, token_of, monkeypatch):
    monkeypatch.setattr(upload_sessions, "MAX_OPEN", 2)
    first, second = (begin(client).id for _ in range(2))
    with pytest.raises(RefusedError) as refused:
        begin(client)
    assert (refused.value.status, refused.value.code) == (409, "too_many_uploads")
    with api.client(token_of("other")) as other:
        begin(other)
    send_piece(client, first, 0, b"12345")
    finish(client, first, digest_of(b"12345"))
    begin(client)  # what is finished counts no more
    client.transport.send(Call("DELETE", path("uploads", second)))
    begin(client)  # nor what is cancelled
    with pytest.raises(RefusedError):
        begin(client)
    assert sweep_uploads(api.parts.database, store, SystemClock().now() + LIFE + LIFE) == 4
    begin(client)


@pytest.mark.slow
def test_a_large_file_goes_in_and_out(client, store, tmp_path, monkeypatch):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 5 * MIB)
    make_model(client)
    file, seen = make_file(tmp_path, 33 * MIB + 1), []
    version = client.versions.register("flights", file, bare_request, on_bytes=seen.append)
    assert sum(seen) == 33 * MIB + 1
    await_none_left(store)
    whole = client.versions.get("flights", version.number)
    seen.clear()
    client.versions.download(whole, tmp_path / "out", on_bytes=seen.append)
    assert (tmp_path / "out" / "model.bin").read_bytes() == file.read_bytes()
    assert sum(seen) == 33 * MIB + 1


@pytest.mark.slow
def test_the_same_file_again_is_not_sent_again(client, store, tmp_path):
    make_model(client)
    file = make_file(tmp_path, 20 * MIB)
    client.versions.register("flights", file, bare_request)
    store.delete(digest_of(file.read_bytes()))  # nobody but an upload would notice
    client.versions.register("flights", file, bare_request)
    assert store.size(digest_of(file.read_bytes())) is None


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_where_the_store_cannot_be_reached_the_server_takes_it(rclone, client, api, tmp_path):
    settings = replace(rclone.settings, public_endpoint_url=f"http://127.0.0.1:{free_port()}")
    elsewhere = S3Store(BUCKET, "elsewhere", settings)
    make_model(client)
    use_store(api, elsewhere)
    file = make_file(tmp_path, 17 * MIB)
    client.versions.register("flights", file, bare_request)
    assert elsewhere.size(digest_of(file.read_bytes())) == 17 * MIB
    await_none_left(elsewhere)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_a_download_goes_on_where_it_broke_off(rclone, client, api, tmp_path, monkeypatch):
    monkeypatch.setattr(ranges, "RANGE_BYTES", 2 * MIB)
    proxy = FaultProxy(rclone.url)
    proxy.start()
    try:
        use_store(api, rclone.store(proxy.url))
        make_model(client)
        file = make_file(tmp_path, 20 * MIB)
        number = client.versions.register("flights", file, bare_request).number
        version = client.versions.get("flights", number)
        proxy.seen.clear()
        proxy.inject("status", status=500, times=99, after=6)
        with pytest.raises(UnreachableError):
            client.versions.download(version, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        proxy.faults.clear()
        proxy.seen.clear()
        client.versions.download(version, tmp_path / "out")
        assert (tmp_path / "out" / "model.bin").read_bytes() == file.read_bytes()
        assert len([line for line in proxy.seen if line.startswith("GET")]) <= 6
    finally:
        proxy.stop()


@pytest.mark.slow
@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
def test_a_rotten_file_of_any_size_is_an_integrity_error(client, store, tmp_path, size):
    make_model(client)
    file = make_file(tmp_path, size)
    number = client.versions.register("flights", file, bare_request).number
    version = client.versions.get("flights", number)
    spoil(store, version.files[0].digest, file.read_bytes())
    for _ in range(2):
        with pytest.raises(IntegrityError) as rotten:
            client.versions.download(version, tmp_path / "out")
        assert rotten.value.code == "blob_corrupt"
    assert not (tmp_path / "out").exists()


def test_what_was_fetched_once_is_fetched_from_the_cache(client, store, tmp_path, cache_folder):
    make_model(client)
    file = make_file(tmp_path, 300_000)
    number = client.versions.register("flights", file, bare_request).number
    version = client.versions.get("flights", number)
    client.versions.download(version, tmp_path / "one")
    store.delete(version.files[0].digest)
    client.versions.download(version, tmp_path / "two")
    assert (tmp_path / "two" / "model.bin").read_bytes() == file.read_bytes()
    (cached,) = (cache_folder / "blobs").iterdir()
    cached.chmod(0o600)
    cached.write_bytes(b"rotten")
    with pytest.raises(IntegrityError):
        client.versions.download(version, tmp_path / "three")
    assert not cached.exists()


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_a_full_cache_forgets_what_was_used_least_recently(client, tmp_path):
    make_model(client)
    cache = BlobCache(tmp_path / "cache", max_bytes=250_000)
    versions, found = Versions(client.transport, cache), []
    for number in (1, 2, 3):
        file = make_file(tmp_path, 100_000, f"{number}.bin")
        version = versions.get("flights", versions.register("flights", file, bare_request).number)
        versions.download(version, tmp_path / f"out-{number}")
        found.append(version.files[0].digest)
    assert [cache.find(digest) is not None for digest in found] == [False, True, True]


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_a_digest_opens_nothing_in_another_model(client, api, token_of, tmp_path):
    """Who knows a digest can neither ask for it, nor register it, nor so read it elsewhere."""
    make_model(client)
    make_model(client, "cargo")
    file = make_file(tmp_path, 300_000)
    number = client.versions.register("flights", file, bare_request).number
    stored = client.versions.get("flights", number).files
    with api.client(token_of("cargo-ci", models=["cargo"])) as other:
        with pytest.raises(NotFoundError) as unknown:
            other.transport.send(Call("GET", path("blobs", stored[0].digest)))
        assert unknown.value.code == "blob_not_found"
        with pytest.raises(RefusedError) as refused:
            other.versions.register_files(
                "cargo", bare_request([f.model_dump(include=FORM) for f in stored])
            )
        assert refused.value.code == "blobs_missing"
        other.versions.register("cargo", file, bare_request)  # who has the bytes may
        other.transport.send(Call("GET", path("blobs", stored[0].digest)))


def use_store(api, store):
    """Let a running API work with another store than it was started with."""
    object.__setattr__(api.parts, "store", store)
    api.app.state.transfers = type(api.app.state.transfers).of(api.parts)


def spoil(store, digest, content):
    rotten = content[:-1] + bytes([content[-1] ^ 1])
    if hasattr(store, "root"):
        place = store.root / key_of(digest)
        place.unlink()
        place.write_bytes(rotten)
    else:
        store.client.put_object(**store.place(key_of(digest)), Body=rotten)
