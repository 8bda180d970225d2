"""Fault 24: bytes flipped, cut or grown on their way to and from S3 are never taken for right."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.client.errors import IntegrityError as ClientIntegrityError
from mlreg.client.errors import UnreachableError
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.registry.artifacts.errors import BlobCorruptError, StoreUnreachableError
from mlreg.registry.artifacts.reading import read_blob, save_blob
from mlreg.registry.domain.errors import IntegrityError, RegistryError, UnavailableError
from mlreg.registry.services import audit
from mlreg.registry.services.scrubbing import Pace, scrub_some
from mlreg.registry.services.upload_sessions import LIFE, sweep_uploads
from mlreg.registry.store import tables
from mlreg.registry.store.clock import SystemClock
from tests.makers import START, make_models, put_bytes
from tests.servers.fault_proxy import FaultProxy
from tests.upload_makers import MIB, bare_request, digest_of, left_in, make_file, make_model

pytestmark = [pytest.mark.s3, pytest.mark.slow]
CONTENT = os.urandom(300_001)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["rclone", "moto"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    proxy = FaultProxy(server.url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def store(server, proxy):
    return server.store(proxy.url)


def put(store, content=CONTENT, digest=DIGEST):
    store.put(digest, io.BytesIO(content), len(content))


@pytest.mark.parametrize("flips", [1, 2])
def test_a_way_that_flips_bytes_costs_no_good_blob(database, store, proxy, flips):
    """One wrong look says nothing; after two the blob is called corrupt, and the third heals it."""
    make_models(database, versions=1)
    put_bytes(store, versions=1)
    fault = proxy.inject("flip_response", times=flips)
    pace = Pace(seconds=60, bytes_per_second=None)
    scrub_some(database, store, START + timedelta(days=14), pace=pace)
    assert fault.done == flips
    with database.reading() as session:
        (blob,) = session.exec(select(tables.Blob)).all()
        actions = [entry.action for entry in audit.list_entries(session, audit.AuditFilter())]
    assert (blob.state, blob.quarantine) == ("verified", None)
    assert read_blob(store, blob.digest) == b"flights/1"
    assert actions.count("blob.corrupt") == actions.count("blob.heal") == flips - 1


def test_a_byte_flipped_on_every_put_is_never_registered(store, proxy):
    fault = proxy.inject("flip_request", method="PUT", times=99)
    with pytest.raises(RegistryError) as refused:
        put(store)
    assert fault.done > 0
    assert isinstance(refused.value, IntegrityError | UnavailableError)
    proxy.faults.clear()
    put(store)
    assert read_blob(store, DIGEST) == CONTENT


def test_a_byte_flipped_on_one_put_is_found_and_replaced(store, proxy):
    fault = proxy.inject("flip_request", method="PUT")
    put(store)  # neither server compares the body with its signed or claimed sha256: we do
    assert fault.done == 1
    assert read_blob(store, DIGEST) == CONTENT


@pytest.mark.parametrize("kind", ["flip_response", "truncate", "short", "long"])
def test_a_broken_read_back_is_never_registered(store, proxy, kind):
    fault = proxy.inject(kind, times=99)
    with pytest.raises((BlobCorruptError, StoreUnreachableError)):
        put(store)
    assert fault.done > 0


@pytest.mark.parametrize("kind", ["flip_response", "truncate", "short", "long"])
def test_a_broken_download_is_an_error_and_leaves_nothing(store, proxy, kind, tmp_path):
    put(store)
    fault = proxy.inject(kind)
    with pytest.raises((BlobCorruptError, StoreUnreachableError)):
        save_blob(store, DIGEST, tmp_path / "model.txt")
    assert fault.done == 1
    assert list(tmp_path.iterdir()) == []
    save_blob(store, DIGEST, tmp_path / "model.txt")
    assert (tmp_path / "model.txt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 500}, {"kind": "status", "status": 503}, {"kind": "reset"}],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_passing_outage_is_waited_out(store, proxy, fault, method):
    told = proxy.inject(**fault, method=method, times=2)
    put(store)
    assert told.done == 2
    assert read_blob(store, DIGEST) == CONTENT


def test_a_lasting_outage_is_said_within_bounded_attempts(store, proxy):
    fault = proxy.inject("status", method="PUT", status=500, times=99)
    with pytest.raises(StoreUnreachableError):
        put(store)
    assert fault.done <= 4


def test_a_server_that_is_not_there_is_unreachable(server, proxy):
    proxy.target = ("127.0.0.1", 9)
    with pytest.raises(UnavailableError):
        server.store("http://127.0.0.1:9").size(DIGEST)


@pytest.mark.parametrize("kind", ["flip_request", "cut_request", "grow_request"])
def test_a_presigned_part_that_changed_on_its_way_is_never_a_blob(
    client, database, proxy, store, tmp_path, kind
):
    """The client writes straight into the store; the server finds it out before it is a blob."""
    make_model(client)
    file = make_file(tmp_path, 17 * MIB)
    fault = proxy.inject(kind, method="PUT", path="/uploads/")
    with pytest.raises((ClientIntegrityError, UnreachableError)):
        client.versions.register("flights", file, bare_request)
    assert fault.done == 1
    assert client.models.get("flights").last_version == 0
    assert store.size(digest_of(file.read_bytes())) is None
    assert registered_at_last(client, file).number == 1
    assert store.size(digest_of(file.read_bytes())) == 17 * MIB
    sweep_uploads(database, store, SystemClock().now() + LIFE + LIFE)  # what a broken store kept
    assert left_in(store) == []


def registered_at_last(client, file, tries=3):
    """Register, again if need be.

    rclone removes the folder of the last object that is deleted, and with it, now and then, that of
    a multipart upload just begun: such an upload takes no part any more, and is begun anew.
    """
    for _ in range(tries - 1):
        with suppress(UnreachableError):
            return client.versions.register("flights", file, bare_request)
    return client.versions.register("flights", file, bare_request)


@pytest.mark.parametrize("kind", ["flip_response", "truncate", "short", "long"])
def test_a_range_that_changed_on_its_way_is_never_a_file(client, proxy, store, tmp_path, kind):
    del store
    make_model(client)
    file = make_file(tmp_path, 17 * MIB)
    client.versions.register("flights", file, bare_request)
    version = client.versions.get("flights", 1)
    fault = proxy.inject(kind, times=99, after=1)
    with pytest.raises((ClientIntegrityError, UnreachableError)):
        client.versions.download(version, tmp_path / "out")
    assert fault.done > 0
    assert not (tmp_path / "out").exists()
    proxy.faults.clear()
    client.versions.download(version, tmp_path / "out")
    assert (tmp_path / "out" / "model.bin").read_bytes() == file.read_bytes()


def test_the_whole_way_never_registers_or_hands_out_wrong_bytes(client, proxy, tmp_path):
    """Client → API → proxy → S3 and back: refused on the way in, an error on the way out."""
    client.models.create(ModelRequest(name="flights", target=TargetForm(task="binary")))
    file = tmp_path / "model.bin"
    file.write_bytes(CONTENT)
    proxy.inject("flip_response", times=99)
    with pytest.raises(ClientIntegrityError) as refused:
        client.versions.register("flights", file, request_of)
    assert refused.value.code == "blob_corrupt"
    assert client.models.get("flights").last_version == 0
    proxy.faults.clear()
    number = client.versions.register("flights", file, request_of).number
    version = client.versions.get("flights", number)
    for kind in ("flip_response", "truncate", "short", "long"):
        fault = proxy.inject(kind, times=99)  # what passes once, the client waits out
        with pytest.raises((ClientIntegrityError, UnreachableError)):
            client.versions.download(version, tmp_path / "out")
        assert 0 < fault.done <= 3
        assert not (tmp_path / "out").exists()
        proxy.faults.clear()
    client.versions.download(version, tmp_path / "out")
    assert (tmp_path / "out" / "model.bin").read_bytes() == CONTENT


def request_of(files):
    fields = ["git", "data", "contract", "hyperparameters", "seeds", "environment"]
    allowed = [*fields, "trainer", "lane"]
    return VersionRequest(files=files, provenance=ProvenanceForm(), allow_missing=allowed)
