"""Parts that a client wrote into the store by itself, joined: their size, once and again."""

import http.client
import secrets
from urllib.parse import urlsplit

import pytest

from mlreg.registry.artifacts.errors import StoreRefusedError
from mlreg.registry.artifacts.s3_transfers import S3Direct
from mlreg.registry.artifacts.transfers import StoredPart

PARTS = [b"a" * 5 * 2**20, b"end"]


@pytest.fixture(params=["rclone", "moto"])
def direct(request):
    store = request.getfixturevalue(request.param).store()
    return S3Direct(store, store.settings)


def put(url, content):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("PUT", f"{parts.path}?{parts.query}", content, {"Content-Type": ""})
    etag = connection.getresponse().headers["ETag"]
    connection.close()
    return etag


def sent(direct):
    session = secrets.token_hex(16)
    multipart = direct.begin(session)
    urls = direct.part_urls(session, multipart, [1, 2])
    etags = [put(url, content) for url, content in zip(urls, PARTS, strict=True)]
    return session, multipart, [StoredPart(n, etag, 0) for n, etag in enumerate(etags, 1)]


def test_the_size_is_that_of_the_parts_and_again_that_of_the_whole(direct):
    upload, size = sent(direct), sum(map(len, PARTS))
    assert direct.complete(*upload) == size
    assert direct.complete(*upload) == size, "an answer that was lost is asked for again"


def test_the_joined_object_is_not_asked_for(direct):
    upload, asked = sent(direct), []
    events = direct._store.client.meta.events
    events.register("before-call.s3.HeadObject", lambda **_: asked.append("head"))
    direct.complete(*upload)
    assert asked == [], "some stores hash all of it for an answer"


def test_other_parts_than_were_sent_are_not_joined(direct):
    session, multipart, [first, second] = sent(direct)
    wrong = StoredPart(second.number, first.etag, 0)
    with pytest.raises(StoreRefusedError):
        direct.complete(session, multipart, [first, wrong])
