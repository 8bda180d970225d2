"""Fault 26: eight clients with the same bytes, and eight at the same upload: one blob, whole."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mlreg.client.errors import InvalidError, MlregError
from mlreg.client.transport import Call, path
from mlreg.registry.artifacts.opening import open_store
from mlreg.registry.artifacts.reading import read_blob
from tests.upload_makers import (
    await_none_left,
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
RACERS = 8
CONTENT = os.urandom(1_500_000)
DIGEST = digest_of(CONTENT)


@pytest.fixture(params=["folder", "rclone", "moto"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store((tmp_path / "artifacts").as_uri())
    return request.getfixturevalue(request.param).store()


def race(api, act):
    """Let eight clients act at once; return what each got, errors too."""

    def one(number):
        with api.client() as client:
            try:
                return act(client, number)
            except MlregError as error:
                return error

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(one, range(RACERS)))


def test_the_same_bytes_at_once_are_one_blob(client, api, store, tmp_path):
    make_model(client)
    file = make_file(tmp_path, 9 * 2**20)

    def register(racer, number):
        if number % 2:
            return racer.versions.register("flights", file, bare_request).number
        call = Call("PUT", path("blobs", digest_of(file.read_bytes())), content=file.read_bytes())
        racer.transport.send(
            Call("PUT", call.path, content=call.content, content_type="application/octet-stream")
        )
        return 0

    found = race(api, register)
    errors = [repr(one) for one in found if isinstance(one, MlregError)]
    assert errors == []
    assert sorted(found) == [0, 0, 0, 0, 1, 2, 3, 4]
    assert read_blob(store, digest_of(file.read_bytes())) == file.read_bytes()
    await_none_left(store)


def test_pieces_at_the_same_place_of_one_upload_count_once(client, api, store):
    upload = begin(client, len(CONTENT)).id
    middle = 700_000
    for start, end in ((0, middle), (middle, len(CONTENT))):
        piece = partial(send_piece, upload=upload, offset=start, content=CONTENT[start:end])
        found = race(api, lambda racer, _, piece=piece: piece(racer))
        refused = [one for one in found if isinstance(one, MlregError)]
        assert all(isinstance(one, InvalidError) and one.status == 416 for one in refused), refused
        assert len(found) - len(refused) == 1
        assert look(client, upload).offset == end
    found = race(api, lambda racer, _: finish(racer, upload, DIGEST)[1].state)
    assert set(found) <= {"verified", "uploaded"}
    assert "verified" in found
    assert look(client, upload).state == "verified"
    assert read_blob(store, DIGEST) == CONTENT
    await_none_left(store)


def test_other_bytes_at_the_same_place_never_mix(client, api, store):
    """Whoever is first is believed; the digest tells whether that was the right one."""
    upload = begin(client).id
    racers = [os.urandom(400_000) for _ in range(RACERS)]
    race(api, lambda racer, number: send_piece(racer, upload, 0, racers[number]))
    states = [finish_quietly(client, upload, digest_of(content)) for content in [racers[0]]]
    stored = store.size(digest_of(racers[0]))
    assert (states == ["verified"]) == (stored is not None)
    if stored is not None:
        assert read_blob(store, digest_of(racers[0])) == racers[0]


def finish_quietly(client, upload, digest):
    try:
        return finish(client, upload, digest)[1].state
    except InvalidError as error:
        return error.code
