"""What tests of uploads need: a model, requests without provenance, files, uploads by hand."""

from __future__ import annotations

import hashlib
import json
import os

from mlreg.client.downloads import OCTETS
from mlreg.client.transport import Call, path
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.uploads import UploadAnswer, UploadRequest
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from tests.faults.workers import await_true

MIB = 2**20
MISSING = [
    *("git", "data", "contract", "hyperparameters", "seeds", "environment"),
    *("trainer", "lane"),
]


def make_model(client, name="flights"):
    client.models.create(ModelRequest(name=name, target=TargetForm(task="binary")))


def bare_request(files):
    return VersionRequest(files=files, provenance=ProvenanceForm(), allow_missing=MISSING)


def make_file(folder, size, name="model.bin"):
    file = folder / name
    file.write_bytes(os.urandom(size))
    return file


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def begin(client, size=None, *, direct=False):
    request = UploadRequest(size=size, direct=direct)
    return client.transport.post(path("uploads"), request, UploadAnswer)


def look(client, upload):
    return client.transport.get(path("uploads", upload), UploadAnswer)


def send_piece(client, upload, offset, content, **headers):
    wanted = {"Content-Range": f"bytes {offset}-{offset + len(content) - 1}/*", **headers}
    call = Call("PATCH", path("uploads", upload), content=content, content_type=OCTETS)
    reply = client.transport.send(
        Call("PATCH", call.path, content=content, content_type=OCTETS, headers=wanted)
    )
    return UploadAnswer.model_validate_json(reply.body)


def finish(client, upload, digest, parts=()):
    body = json.dumps({"parts": [{"number": n, "etag": etag} for n, etag in parts]}).encode()
    reply = client.transport.send(
        Call("PUT", path("uploads", upload), {"digest": digest}, content=body)
    )
    return reply.status, UploadAnswer.model_validate_json(reply.body)


def await_none_left(store):
    """Wait until nothing lies in `uploads/`: it is removed after the client has its answer."""
    await_true(lambda: left_in(store) == [])


def left_in(store):
    """Return what lies in a store's `uploads/`: files, or objects and open multiparts."""
    if hasattr(store, "root"):
        return sorted(p.name for p in store.root.glob("uploads/**/*"))
    place = store.place("uploads/")
    where = {"Bucket": place["Bucket"], "Prefix": place["Key"]}
    objects = store.client.list_objects_v2(**where).get("Contents", [])
    try:
        multiparts = store.client.list_multipart_uploads(**where).get("Uploads", [])
    except store.client.exceptions.NoSuchUpload:  # rclone's word for none
        multiparts = []
    return sorted(item["Key"] for item in [*objects, *multiparts])
