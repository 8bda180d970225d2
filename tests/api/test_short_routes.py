"""The short way to register and to promote does, and refuses, what the long one does."""

import http.client
import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from starlette.routing import Match

from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.registry.api import deployments, versions
from mlreg.registry.api.limits import IN_THREAD_BYTES

VERSIONS = "/api/v1/models/flights/versions"
PROMOTE = "/api/v1/models/flights/deployments/production/promote"
GIVEN = {"provenance": {"trainer": "by hand"}, "allow_missing": ["git", "data", "contract"]}
LACKING = ["hyperparameters", "seeds", "environment", "lane", "parent"]


@pytest.fixture
def file(client, tmp_path):
    client.models.create(ModelRequest(name="flights", target=TargetForm(task="binary")))
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    (found,) = client.versions.upload(path)
    return found.model_dump()


def asked(api, path, body, *, long, token=None, **headers):
    """Send a body; with blanks before it where it has to go the long way."""
    content = json.dumps(body).encode()
    content = b" " * (IN_THREAD_BYTES if long else 0) + content
    headers = {"Authorization": f"Bearer {token or api.token}", **headers}
    headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    with closing(connection):
        connection.request("POST", path, content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def both(api, path, body, token=None, **headers):
    """Return what the two ways answer, one thing but for numbers and moments."""
    ways = [asked(api, path, body, long=long, token=token, **headers) for long in (False, True)]
    for _, answer in ways:
        for name in ("number", "created_at", "revision", "at", "previous", "current"):
            answer.pop(name, None)
    assert ways[0] == ways[1]
    return ways[0]


def test_both_ways_register_promote_and_refuse_alike(api, client, file):
    right = {"files": [file], **GIVEN, "allow_missing": [*GIVEN["allow_missing"], *LACKING]}
    assert both(api, VERSIONS, right)[0] == 201
    assert both(api, VERSIONS, {**right, "unknown": 1})[1]["code"] == "invalid_request"
    assert both(api, VERSIONS, {**right, "tags": {"a": "ghp_" + "a1B2" * 9}})[0] == 422
    assert both(api, VERSIONS.replace("flights", "none"), right)[0] == 404
    assert both(api, VERSIONS, right, **{"Idempotency-Key": ""})[0] == 422
    assert both(api, VERSIONS, right, token="mlr_none")[0] == 401
    viewer = client.tokens.create("viewer", role="viewer").token
    assert both(api, VERSIONS, right, token=viewer)[0] == 403
    promote = {"version": 1, "force": True, "reason": "test", "dry_run": True}
    assert both(api, PROMOTE, promote)[0] == 428
    assert both(api, PROMOTE, promote, **{"If-Match": "*"})[0] == 200
    assert both(api, PROMOTE, promote, token=viewer, **{"If-Match": "*"})[0] == 403
    assert both(api, PROMOTE, {**promote, "version": 0}, **{"If-Match": "*"})[0] == 422
    assert both(api, PROMOTE, promote, **{"If-Match": '"x-99"'})[0] == 412


@pytest.mark.parametrize(
    ("path", "routes", "body"),
    [
        (PROMOTE, deployments.short_routes, {"version": 1}),
        (VERSIONS, versions.short_routes, {"files": [], "provenance": {}}),
    ],
)
def test_only_a_body_that_was_read_and_fits_goes_the_short_way(path, routes, body):
    (route,) = routes("/api/v1")
    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    if "files" in body:
        assert route.matches({**scope, "state": {"json": body}})[0] is Match.NONE
        body["files"] = [{"path": "a", "size": 1, "digest": "sha256:" + "0" * 64}]
    assert route.matches({**scope, "state": {"json": body}})[0] is Match.FULL
    assert route.matches({**scope, "state": {"json": {**body, "more": 1}}})[0] is Match.NONE
    assert route.matches(scope)[0] is Match.NONE
    assert route.matches({**scope, "method": "GET", "state": {"json": body}})[0] is Match.NONE
