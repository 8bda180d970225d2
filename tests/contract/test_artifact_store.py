"""What `ArtifactStore` promises, asked of every backend."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlreg.registry.artifacts import s3
from mlreg.registry.artifacts.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    WrongBytesError,
    WrongSizeError,
)
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.artifacts.reading import BlobTooLargeError, read_blob, save_blob
from mlreg.registry.artifacts.verifying import key_of
from mlreg.registry.domain.digests import InvalidDigestError
from mlreg.registry.domain.errors import IntegrityError, InvalidError

CONTENTS = {"empty": b"", "one": b"x", "chunk": os.urandom(2**20), "odd": os.urandom(2_500_001)}


class FolderBackend:
    create_only = True

    def __init__(self, folder):
        self.store = FolderStore(folder)

    def spoil(self, digest, content):
        path = self.store.root / key_of(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)


class S3Backend:
    def __init__(self, server, *, create_only):
        self.store = server.store()
        self.create_only = create_only

    def spoil(self, digest, content):
        self.store.client.put_object(**self.store.place(key_of(digest)), Body=content)


@pytest.fixture(params=["folder", "rclone", "moto"])
def backend(request, tmp_path):
    if request.param == "folder":
        return FolderBackend(tmp_path / "artifacts")
    server = request.getfixturevalue(request.param)
    return S3Backend(server, create_only=request.param == "moto")


@pytest.fixture
def store(backend):
    return backend.store


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def put(store, content):
    store.put(digest_of(content), io.BytesIO(content), len(content))
    return digest_of(content)


def receive(reader, into):
    for piece in reader.chunks():
        into += piece


@pytest.mark.parametrize("name", CONTENTS)
def test_what_goes_in_comes_out(store, name):
    digest = put(store, CONTENTS[name])
    assert store.size(digest) == len(CONTENTS[name])
    assert read_blob(store, digest) == CONTENTS[name]
    with store.open(digest) as reader:
        assert b"".join(reader.chunks(100_003)) == CONTENTS[name]
    with store.open(digest) as reader:
        assert reader.read(-1) == CONTENTS[name]


def test_putting_again_changes_nothing(store):
    assert put(store, b"again") == put(store, b"again")
    assert read_blob(store, digest_of(b"again")) == b"again"


def test_racing_writers_leave_one_whole_blob(store):
    content = CONTENTS["chunk"]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: put(store, content), range(8))) == {digest_of(content)}
    assert read_blob(store, digest_of(content)) == content


def test_bytes_of_another_digest_are_refused_and_not_kept(store):
    digest = digest_of(b"what was promised")
    with pytest.raises(WrongBytesError):
        store.put(digest, io.BytesIO(b"what came"), 9)
    assert store.size(digest) is None


def test_a_wrong_size_is_refused_and_not_kept(store):
    digest = digest_of(b"12345")
    for size in (4, 6):
        with pytest.raises(WrongSizeError):
            store.put(digest, io.BytesIO(b"12345"), size)
    assert store.size(digest) is None


def test_what_is_not_there_is_said_to_be_not_there(store):
    digest = digest_of(b"nowhere")
    assert store.size(digest) is None
    with pytest.raises(BlobNotFoundError), store.open(digest):
        pass
    store.delete(digest)


def test_deleted_is_gone(store):
    digest = put(store, b"soon gone")
    store.delete(digest)
    assert store.size(digest) is None
    with pytest.raises(BlobNotFoundError), store.open(digest):
        pass


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "other"])
def test_rotten_bytes_end_in_an_error_before_their_last_piece(backend, store, damage):
    content = CONTENTS["odd"]
    digest = put(store, content)
    rotten = {
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "cut": content[:-1],
        "grow": content + b"x",
        "other": b"x",
    }[damage]
    backend.spoil(digest, rotten)
    received = bytearray()
    with store.open(digest) as reader, pytest.raises(IntegrityError):
        receive(reader, received)
    assert len(received) < len(rotten)
    with pytest.raises(BlobCorruptError):
        read_blob(store, digest)


def test_a_rotten_blob_is_repaired_by_who_brings_its_bytes(backend, store):
    digest = digest_of(b"good bytes")
    backend.spoil(digest, b"bad bytes!")
    assert put(store, b"good bytes") == digest
    assert read_blob(store, digest) == b"good bytes"


def test_a_file_gets_its_name_only_when_whole(backend, store, tmp_path):
    digest = put(store, b"a file")
    assert save_blob(store, digest, tmp_path / "file") == 6
    backend.spoil(digest, b"a flie")
    with pytest.raises(BlobCorruptError):
        save_blob(store, digest, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["file"]


def test_a_small_read_has_a_bound(store):
    digest = put(store, b"123456")
    with pytest.raises(BlobTooLargeError):
        read_blob(store, digest, max_bytes=5)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64])
def test_only_digests_are_names(store, digest):
    for verb in (store.size, store.delete, lambda name: store.open(name).__enter__()):
        with pytest.raises(InvalidDigestError):
            verb(digest)
    with pytest.raises(InvalidError):
        store.put(digest, io.BytesIO(b""), 0)


def test_the_probe_says_what_the_store_does(backend, store):
    found = store.probe()
    assert found.create_only is backend.create_only
    assert found.range_reads
    assert found == store.probe()


def test_a_large_blob_goes_in_parts(store, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 2**20)
    content = os.urandom(12 * 2**20)
    digest = put(store, content)
    assert put(store, content) == digest
    assert store.size(digest) == len(content)
    assert read_blob(store, digest) == content
