"""Nobody comes in without a token, from a foreign host, or with a body that is too much."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

PUBLIC = {"/healthz", "/readyz", "/login", "/static/style.css"}


def call(api, method, path, body=None, token=True, **headers):
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {api.token if token is True else token}"
    connection.request(method, path, body, sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def paths(routes, prefix=""):
    for route in routes:
        path = prefix + getattr(route, "path", "")
        below = getattr(route, "routes", None)
        if below:
            yield from paths(below, path)
        yield path, sorted(getattr(route, "methods", None) or ["GET"])


def test_every_path_of_the_app_is_closed_without_a_token(api):
    seen = 0
    for path, methods in paths(api.app.routes):
        for method in methods:
            if path in PUBLIC:
                continue
            status, _, body = call(api, method, path.replace("{", "").replace("}", ""), token=None)
            assert status == 401, (method, path, status)
            assert method == "HEAD" or json.loads(body)["code"] == "unauthenticated"
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize("token", ["x", "mlr_person_x_y_00000000", "mlr_a_b", " ", "é"])
def test_wrong_tokens_get_one_and_the_same_answer(api, token):
    status, _, body = call(api, "GET", "/metrics", token=token.encode().decode("latin-1"))
    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")


def test_health_is_public_and_metrics_are_not(api):
    assert call(api, "GET", "/healthz", token=None)[0] == 200
    assert call(api, "GET", "/readyz", token=None)[0] == 200
    assert call(api, "GET", "/metrics")[0] == 200


def test_a_foreign_host_and_a_foreign_origin_are_refused(api):
    assert call(api, "GET", "/healthz", Host="evil.example")[0] == 400
    status, _, _ = call(api, "POST", "/api/v1/x", b"{}", Origin="http://evil.example")
    assert status == 403


def test_an_unknown_path_is_a_problem(api):
    status, headers, body = call(api, "GET", "/api/v1/nowhere")
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["kind"] == "not_found"


JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a": NaN}', 422),
        (b'{"a": 1e999}', 422),
        (b'{"a": 1, "a": 2}', 422),
        (b'{"a": 9223372036854775808}', 422),
        (b"[" * 100_000, 422),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 422),
        (b'{"a": "\\u0000"}', 422),
        (b'{"a": "\\ud800"}', 422),
        (b'{"a": "\\u202e"}', 422),
        (b"\xff", 422),
        (b'"' + b"a" * 2**21 + b'"', 413),
    ],
)
def test_json_that_two_readers_may_understand_differently_is_refused(api, body, status):
    got, _, answer = call(api, "POST", "/api/v1/nowhere", body, **JSON)
    assert got == status, answer


def test_a_body_of_an_unknown_type_is_refused(api):
    status, _, _ = call(api, "POST", "/api/v1/nowhere", b"x", Content_Type="application/x-pickle")
    assert status == 415
