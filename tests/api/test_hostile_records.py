"""Records of versions, and registrations, that were made by hand to break or to spy on a server."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from mlreg.client.errors import InvalidError, MlregError
from mlreg.client.signing import generate_key
from mlreg.client.transport import Call, path
from mlreg.client.wire.portable import ImportRequest
from mlreg.client.wire.signing import KeyRequest
from mlreg.client.wire.versions import ProvenanceForm, VersionAnswer
from tests.upload_makers import bare_request, digest_of, make_file, make_model

NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def folder(client, tmp_path):
    make_model(client)
    client.versions.register("flights", make_file(tmp_path, 100), bare_request)
    return tmp_path


@pytest.fixture
def record(client, folder):
    assert folder.is_dir()
    place = path("models", "flights", "versions", 1, "record")
    return client.transport.send(Call("GET", place)).body.decode()


def ask_import(client, digest, model="flights"):
    request = ImportRequest(record=digest, file=NOWHERE)
    return client.transport.post(path("models", model, "import"), request, VersionAnswer)


HOSTILE = {
    "NUL": ('"tags":{}', r'"tags":{"a":"x\u0000"}'),
    "NUL in who registered": ('"registered_by":"', r'"registered_by":"\u0000'),
    "NUL in a key": ('"provenance":{', r'"provenance":{"hyperparameters":{"\u0000":1},'),
    "bidi": ('"tags":{}', '"tags":{"a":"x\u202ey"}'),
    "escape sequence": ('"exported_by":"', r'"exported_by":"\u001b[31m'),
    "NaN": ('"tags":{}', '"tags":{},"x":NaN'),
    "beyond 64 bits": ('"tags":{}', '"tags":{},"x":' + "9" * 400),
    "deep": ('"tags":{}', '"tags":{},"x":' + "[" * 40 + "]" * 40),
    "very deep": ('"evidence":{', '"evidence":{"x":' + "[" * 100_000 + "]" * 100_000 + ","),
    "too many": ('"tags":{}', '"tags":' + json.dumps({str(n): "" for n in range(20_000)})),
    "twice": ('"tags":{}', '"tags":{},"tags":{"a":"b"}'),
    "no object": (None, "[]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_keeps_to_the_rules_of_every_other_body(client, folder, record, name):
    found, instead = HOSTILE[name]
    hostile = instead if found is None else record.replace(found, instead, 1)
    assert hostile != record
    file = folder / "record"
    file.write_bytes(hostile.encode())
    with pytest.raises(InvalidError) as refused:
        ask_import(client, client.versions.upload_file(file).digest)
    assert (refused.value.status, refused.value.code) == (422, "invalid_record")
    assert client.models.get("flights").last_version == 1


def test_an_import_says_nothing_about_the_bytes_of_others(api, client, folder):
    make_model(client, "fraud")
    secret = folder / "secret"
    secret.write_bytes(b"of flights alone")
    client.versions.register("flights", secret, bare_request)
    token = client.tokens.create("ci", role="ci", models=["fraud"]).token
    told = []
    with api.client(token) as other:
        for digest in (digest_of(b"of flights alone"), NOWHERE):
            with pytest.raises(MlregError) as refused:
                ask_import(other, digest, "fraud")
            told.append(str(refused.value).replace(digest, "…"))
    assert told[0] == told[1]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_that_no_database_keeps_is_refused(client, folder, moment):
    at = datetime.fromisoformat(moment)
    with pytest.raises(InvalidError) as refused:
        client.versions.register(
            "flights",
            make_file(folder, 100),
            lambda files: bare_request(files).model_copy(
                update={"provenance": ProvenanceForm(train_start=at, train_end=at)}
            ),
        )
    assert (refused.value.status, refused.value.code) == (422, "invalid_value")


def test_keys_tell_nobody_of_models_that_he_may_not_see(api, client, tmp_path):
    for model in ("flights", "fraud"):
        make_model(client, model)
    for name, models in (("both", ["flights", "fraud"]), ("fraud", ["fraud"]), ("any", None)):
        public = generate_key(tmp_path / name)
        client.keys.add(KeyRequest(name=name, public_key=public, models=models))
    token = client.tokens.create("ci", role="ci", models=["flights"]).token
    with api.client(token) as other:
        seen = {key.name: key.models for key in other.keys.list()}
    assert seen == {"both": ["flights"], "any": None}
    assert {key.name for key in client.keys.list()} == {"both", "fraud", "any"}
